"""What each class mode asks of the model."""

import pytest

from runner.data.labels import Head
from runner.models.base import output_of


@pytest.mark.parametrize(
    ("mode", "num_classes", "shape", "activation", "loss"),
    [
        ("categorical", 5, (5,), "softmax", "categorical_crossentropy"),
        ("sparse", 5, (5,), "softmax", "sparse_categorical_crossentropy"),
        ("binary", 2, (1,), "sigmoid", "binary_crossentropy"),
        ("input", 0, (4, 3), "linear", "mean_squared_error"),
    ],
)
def test_output_follows_from_the_head(mode, num_classes, shape, activation, loss):
    output = output_of(Head("", mode, tuple(map(str, range(num_classes)))), (4, 3))
    assert (output.shape, output.activation, output.loss) == (shape, activation, loss)
