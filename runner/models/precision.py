"""The precision a model computes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from runner.models.base import Precision


@contextmanager
def precision(policy: Precision) -> Iterator[None]:
    """Layers made in the block compute in `policy`; layers made after it as those before.

    A model compiled in the block with `mixed_float16` gets its loss scaled, so that small gradients are not lost.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
