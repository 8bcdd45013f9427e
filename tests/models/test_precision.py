"""The precision of layers."""

import keras
import pytest

from runner.models.layers import precision


def test_precision_is_restored_after_the_block():
    with precision("mixed_bfloat16"):
        inside = keras.layers.Dense(1)
    assert inside.dtype_policy.name == "mixed_bfloat16"
    assert keras.layers.Dense(1).dtype_policy.name == "float32"


def test_precision_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), precision("mixed_float16"):
        1 / 0  # noqa: B018
    assert keras.config.dtype_policy().name == "float32"
