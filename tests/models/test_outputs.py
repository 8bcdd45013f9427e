"""What each class mode asks of the model."""

import pytest

from runner.labels import Head
from runner.models.outputs import metric_names, output_of


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


def test_metric_names_of_one_output_are_bare_and_of_several_carry_its_name():
    first, second = (output_of(Head(name, "binary", ("a", "b")), (1,)) for name in ("p", "q"))
    assert metric_names((first,)) == ["accuracy"]
    assert metric_names((first, second)) == ["p_accuracy", "q_accuracy"]
