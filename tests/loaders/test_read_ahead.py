"""How far ahead is read, and what becomes of it."""

import numpy as np
import pytest

from runner.loaders.reader import ReadResult
from runner.loaders.workers import read_ahead


class Remembering:
    """Reads nothing, and remembers what it was asked; batch `bad` fails."""

    def __init__(self, bad=None):
        self.submitted, self.read, self.cancelled, self.bad = [], [], [], bad

    def submit(self, epoch, indices):
        assert epoch == 7
        self.submitted.append(int(indices[0]))
        return Pending(self, int(indices[0]))


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
    return ((7, np.array([number])) for number in range(count))


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
