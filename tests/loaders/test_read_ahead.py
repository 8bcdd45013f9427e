"""How far ahead is read, and what becomes of it."""

from concurrent.futures import Future, wait

import numpy as np
import pytest

from runner.loaders.draw import Draw
from runner.loaders.reader import ReadResult
from runner.loaders.workers import WAIT_SECONDS, await_done, read_ahead


class Remembering:
    """Reads nothing, and remembers what it was asked; batch `bad` fails."""

    def __init__(self, bad=None):
        self.submitted, self.read, self.cancelled, self.bad = [], [], [], bad

    def submit(self, draw):
        assert draw.passes.tolist() == [7]
        self.submitted.append(int(draw.indices[0]))
        return Pending(self, int(draw.indices[0]))


class Pending:
    def __init__(self, workers, number):
        self.workers, self.number = workers, number

    def result(self):
        if self.number == self.workers.bad:
            raise OSError("bad")
        self.workers.read.append(self.number)
        return ReadResult(np.array([self.number]), np.array([self.number]))

    def cancel(self):
        self.workers.cancelled.append(self.number)


def batches(count):
    return (Draw.of_pass(np.array([number]), 7) for number in range(count))


def test_read_ahead_is_bounded():
    workers = Remembering()
    for number, rows in enumerate(read_ahead(workers, batches(9), 3)):
        assert rows.indices[0] == rows.x[0] == number
        assert workers.submitted == list(range(min(9, number + 4)))
    assert workers.cancelled == []


def test_reading_starts_on_request():
    workers = Remembering()
    reading = read_ahead(workers, batches(9), 3)
    reading.close()
    assert workers.submitted == []


def test_abandoned_iterator_drops_read_ahead():
    workers = Remembering()
    reading = read_ahead(workers, batches(9), 3)
    next(reading)
    reading.close()
    assert workers.cancelled == [1, 2, 3]


def test_bad_batch_drops_read_ahead():
    workers = Remembering(bad=1)
    with pytest.raises(OSError, match="bad"):
        list(read_ahead(workers, batches(9), 3))
    assert (workers.read, workers.cancelled) == ([0], [1, 2, 3])


@pytest.mark.parametrize("timeout", [0.2, 0.5, 3.2])
def test_stop_of_the_process_is_no_hang(timeout, monkeypatch):
    """A stop makes one wait as long as it likes; the worker goes on afterwards and has its time."""
    future, waits = Future(), []

    def stopped_once(pending, seconds):
        waits.append(seconds)  # the first one takes an hour
        if len(waits) >= timeout / WAIT_SECONDS and not future.done():
            future.set_result(1)
        return wait(pending, 0)

    monkeypatch.setattr("runner.loaders.workers.wait", stopped_once)
    assert not await_done([future], timeout)
    assert sum(waits) == pytest.approx(timeout) and max(waits) <= WAIT_SECONDS
    assert await_done([Future()], timeout)
