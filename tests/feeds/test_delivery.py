"""Delivery: tuples for Keras, ids for the record, errors as they were."""

import numpy as np
import pytest

from runner.feeds.delivery import Delivery
from runner.samples import Batch

X, Y, W = np.zeros((2, 1)), np.zeros(2), np.ones(2)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (Batch(X, None, None, ("a", "b")), (X,)),
        (Batch(X, Y, None, ("a", "b")), (X, Y)),
        (Batch(X, Y, W, ("a", "b")), (X, Y, W)),
    ],
)
def test_delivery_hands_over_tuples(sequence, batch, expected):
    given = Delivery(sequence).hand_over(0, batch)
    assert isinstance(given, tuple)
    assert all(a is b for a, b in zip(given, expected, strict=True))


def test_delivery_raises_foreign_errors_as_they_are(sequence):
    with pytest.raises(ZeroDivisionError), Delivery(sequence).raising_failures():
        1 / 0  # noqa: B018


def test_delivery_tells_of_every_step(sequence):
    steps = []
    list(Delivery(sequence, steps.append).steps(1, 4))
    assert steps == [1, 2, 3, 4]
