"""Delivery: tuples for Keras, ids for the record, errors as they were."""

import gc
import sys

import numpy as np
import pytest

from runner.batch import Batch
from runner.feeds.delivery import Delivery
from runner.loaders.kinds import Generator, Sequence
from runner.loaders.plan import Plan

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


def test_delivery_raises_original_errors(sequence):
    with pytest.raises(ZeroDivisionError), Delivery(sequence).raising_failures():
        1 / 0  # noqa: B018


def test_delivery_reports_every_step(sequence):
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


def test_delivery_follows_a_requested_step(sequence):
    delivery, expected = Delivery(sequence, end=9), list(sequence.stream(0, 9))
    for first in (0, 3, 1, 1, 6, 0):
        given = [x for x, _ in delivery.steps(first, 2)]
        assert all(np.array_equal(x, batch.x) for x, batch in zip(given, expected[first:], strict=False))


def test_first_batch_is_read_once(sequence, numbers):
    delivery = Delivery(sequence, end=3)
    first = next(delivery.steps(0, 3))
    given = list(delivery.steps(0, 3))
    assert given[0][0] is first[0]
    assert len(given) == 3
    delivery.close()
    assert next(delivery.steps(0, 3))[0] is not first[0]


def test_batches_on_gpu_survive_a_restart(numbers, monkeypatch):
    asked, batch = [], Plan.batch
    monkeypatch.setattr(Plan, "batch", lambda plan, *place: asked.append(place) or batch(plan, *place))
    with Generator().build(numbers, Plan(num_samples=10, batch_size=4, seed=3)) as loader:
        delivery = Delivery(loader, end=6)
        early = list(delivery.steps(0, 2))
        given = list(delivery.steps(0, 6))
    assert asked == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [given[0][0] is early[0][0], given[1][0] is early[1][0], len(given)] == [True, True, 6]
    assert not delivery._first


def test_delivery_drops_delivered_batches(numbers):
    blocks = {}
    with Generator().build(numbers, Plan(num_samples=10, batch_size=4, seed=3)) as loader:
        for step, _ in enumerate(Delivery(loader).steps(0, 1501)):
            if step in (500, 1500):
                gc.collect()
                blocks[step] = sys.getallocatedblocks()
    assert blocks[1500] - blocks[500] < 500
