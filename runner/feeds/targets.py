"""Targets and weights in the form that the loss of a model takes: Dice takes one-hot masks, all others take codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from runner.batch import Targets

Encode = Callable[[Any, Any], tuple[Targets, Targets]]
"""Turns the targets and weights of a batch into those of a loss."""


def as_they_are(y: Any, weights: Any) -> tuple[Targets, Targets]:
    """Targets and weights as the loader gives them."""
    return y, weights


def encoder_of(model: Any) -> Encode:
    """What turns targets and weights into those that the loss of a compiled `model` takes.

    The loss decides, not a setting: a model that the user's function compiles with Dice gets one-hot masks as well.
    """
    import keras

    if not isinstance(getattr(model, "loss", None), keras.losses.Dice):
        return as_they_are
    num_classes = model.output_shape[-1]

    def one_hot(y: Any, weights: Any) -> tuple[Targets, Targets]:
        """Masks of codes, shape `(n, height, width)`, as float32 of 0 and 1 for each class.

        A pixel whose code is no class, because it is ignored, is 0 for all. Weights get the shape `(n, 1)`, as the loss
        has a value for each image and class.
        """
        masks = y if np.ndim(y) == 4 else (y[..., None] == np.arange(num_classes)).astype(np.float32)
        return masks, None if weights is None else np.asarray(weights).reshape(len(y), 1)

    return one_hot
