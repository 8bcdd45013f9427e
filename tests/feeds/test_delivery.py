"""Delivery: tuples for Keras, ids for the record, errors as they were."""

from types import SimpleNamespace

import numpy as np
import pytest

from runner.feeds.delivery import Delivery
from runner.loaders.sequence import Sequence
from runner.plan import Plan
from runner.records.digests import IdStream, array_digest
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


def test_delivery_reads_the_next_epoch_ahead(numbers, monkeypatch):
    asked, batch = [], Plan.batch
    monkeypatch.setattr(Plan, "batch", lambda plan, *place: asked.append(place) or batch(plan, *place))
    with Sequence(workers=1, max_queue_size=2).build(numbers, Plan(num_samples=10, batch_size=4, seed=3)) as loader:
        delivery = Delivery(loader, end=6)
        list(delivery.steps(0, 3))
        assert asked == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
        list(delivery.steps(3, 3))
    assert asked == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_delivery_goes_on_where_another_step_is_asked_for(sequence):
    delivery, expected = Delivery(sequence, end=9), list(sequence.stream(0, 9))
    for first in (0, 3, 1, 1, 6, 0):
        given = [x for x, _ in delivery.steps(first, 2)]
        assert all(np.array_equal(x, batch.x) for x, batch in zip(given, expected[first:], strict=False))


def test_first_batch_is_not_read_again_where_it_is_asked_for_twice(sequence, numbers):
    delivery = Delivery(sequence, end=3)
    first = next(delivery.steps(0, 3))
    given = list(delivery.steps(0, 3))
    assert given[0][0] is first[0]
    assert len(given) == 3
    delivery.close()
    assert next(delivery.steps(0, 3))[0] is not first[0]


def test_pixels_of_every_hundredth_step_are_digested_as_handed_over():
    def settled(change=lambda step, x: x):
        delivery, pixels = Delivery(SimpleNamespace()), IdStream()
        for step in range(250):
            x = change(step, np.full((2, 3), step % 7, np.uint8))
            delivery.hand_over(step, SimpleNamespace(x=x, y=None, ids=("a", "b"), sample_weight=None))
        delivery.settle(IdStream(), pixels, 0, 130)
        delivery.settle(IdStream(), pixels, 130, 120)
        return pixels.hexdigest()

    expected = IdStream()
    expected.update(array_digest(np.full((2, 3), step % 7, np.uint8)) for step in (0, 100, 200))
    assert settled() == expected.hexdigest()
    assert settled(lambda step, x: x + (step == 200)) != expected.hexdigest()
    assert settled(lambda step, x: x + (step == 201)) == expected.hexdigest()
