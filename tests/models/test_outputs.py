"""The outputs, losses and metrics of each class mode."""

import pytest

from runner.data.labels import Head
from runner.errors import DataError
from runner.models.base import output_of, refuse_shared_columns


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


@pytest.mark.parametrize("names", [("x", "val_x"), ("val_x", "x"), ("val", "x"), ("x", "x_top", "val_x_top")])
def test_outputs_that_share_a_metric_are_refused(names):
    with pytest.raises(DataError, match="outputs must have names whose metrics differ, got .*; rename the column"):
        refuse_shared_columns(outputs_named(*names))


@pytest.mark.parametrize("names", [("val",), ("val_x",), ("loss", "seconds"), ("epoch", "valid"), ("x", "x_loss")])
def test_outputs_with_metrics_of_their_own_pass(names):
    refuse_shared_columns(outputs_named(*names))


def outputs_named(*names):
    return tuple(output_of(Head(name, "binary", ("a", "b")), (3,)) for name in names)
