"""How reading scales: who is looked at, for how long, and who is chosen."""

import threading
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.batch import ArraySpec
from runner.data.labels import NO_LABELS
from runner.data.source import Source
from runner.errors import BadSampleError
from runner.loaders.plan import Plan
from runner.loaders.sequence import Sequence
from runner.loaders.throughput import (
    MEASURE_SECONDS,
    Measurement,
    Readers,
    Scaling,
    Throughput,
    measure_scaling,
    threads_block_each_other,
)

TAKES = 0.002
MANY = 4000
ONE, FOUR, PROCESSES = Readers(1), Readers(4), Readers(4, processes=True)


@pytest.fixture(autouse=True)
def four_processors(monkeypatch):
    monkeypatch.setattr("runner.loaders.throughput.num_processors", lambda: 4)


class Waiting(Source):
    """Samples that come after a while, in which nothing is computed."""

    spec = ArraySpec((1,), np.dtype(np.float32))
    labels = NO_LABELS

    def __init__(self, num_samples=MANY):
        self.ids = tuple(map(str, range(num_samples)))
        self.read_indices = []

    def __len__(self):
        return len(self.ids)

    def read(self, index, out):
        time.sleep(TAKES)
        self.read_indices.append(index)
        out[...] = index
        return out


class Holding(Waiting):
    """Samples that keep the GIL while they are computed."""

    def read(self, index, out):
        until = time.thread_time() + TAKES
        while time.thread_time() < until:
            pass
        out[...] = index
        return out


class Locked(Holding):
    """What no process can be handed."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Bad(Waiting):
    """A sample that cannot be read."""

    def read(self, index, out):
        raise BadSampleError("photos/cat/1.jpg", "is empty")


def opener(source, asked=None):
    """How a measure_scaling opens loaders over `source`; notes in `asked` who was to read."""

    def opened(readers, batch_size):
        if asked is not None:
            asked.append((readers, batch_size))
        settings = Sequence(workers=readers.workers, use_multiprocessing=readers.processes, timeout_seconds=30.0)
        return settings.build(source, Plan(len(source), batch_size, shuffle=False))

    return opened


def looks(*figures):
    """Measurements of these readers at these samples a second."""
    return Scaling(
        tuple(Measurement(readers, Throughput(round(1000 * speed), 1000.0, 1.0)) for readers, speed in figures)
    )


def test_waiting_threads_scale_and_are_chosen():
    source, asked, began = Waiting(), [], time.perf_counter()
    seen = measure_scaling(opener(source, asked), 4, processes=True)
    assert time.perf_counter() - began < 4  # 0.8 where nothing else goes on
    assert [readers for readers, _ in asked] == [ONE, ONE, FOUR, ONE, FOUR]
    assert seen.best() == FOUR
    assert {look.readers: look.throughput.seconds >= MEASURE_SECONDS for look in seen.measurements} == {
        ONE: True,
        FOUR: True,
    }
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader-")]


def test_measurements_share_no_samples():
    source, asked = Waiting(), []
    measure_scaling(opener(source, asked), 4, processes=True)
    assert asked[0][1] == 1
    assert all(2 <= size <= 10 for _, size in asked[1:])  # a fiftieth of a second
    again = {index for index, times in Counter(source.read_indices).items() if times > 1}
    assert max(again, default=0) < 40  # those that were read one by one
    assert {index * 5 // MANY for index in source.read_indices} == {0, 1, 2, 3}


def test_processes_are_tried_when_threads_block():
    asked = []
    seen = measure_scaling(opener(Holding(), asked), 4, processes=True)
    assert [readers for readers, _ in asked] == [ONE, *(ONE, FOUR) * 2, PROCESSES]
    assert seen.measurements[2].samples_per_second > 0
    assert seen.text().endswith(f", 4 processes {seen.measurements[2].samples_per_second:,.0f}")


def test_requested_threads_exclude_processes():
    seen = measure_scaling(opener(Holding()), 4, processes=False)
    assert [look.readers for look in seen.measurements] == [ONE, FOUR]


def test_failing_processes_are_reported():
    seen = measure_scaling(opener(Locked()), 4, processes=True)
    assert seen.text().endswith(", 4 processes cannot read them (cannot pickle '_thread.lock' object)")
    assert seen.best() in (ONE, FOUR)


def test_small_data_is_not_measured():
    source = Waiting(num_samples=100)
    seen = measure_scaling(opener(source), 4, processes=True)
    assert not seen.measurements
    assert seen.skipped.startswith("1 thread reads all samples in ")
    assert len(source.read_indices) < 40


def test_very_slow_samples_are_not_measured(monkeypatch):
    monkeypatch.setattr(f"{__name__}.TAKES", 0.1)
    source = Waiting()
    assert measure_scaling(opener(source), 30, processes=True).skipped.startswith("a sample takes 0.")
    assert len(source.read_indices) < 5


def test_unreadable_sample_is_left_to_the_run():
    assert measure_scaling(opener(Bad()), 4, processes=True) == Scaling(skipped="photos/cat/1.jpg: is empty")


@pytest.mark.parametrize(
    ("many", "cpu_seconds", "expected"),
    [
        (100, 1.0, True),  # Python that holds the GIL
        (300, 3.0, True),  # a part of it does
        (700, 7.0, False),  # threads gain
        (100, 0.1, False),  # all wait for the disk
        (500, 11.0, False),  # all processors compute
    ],
)
def test_idle_machine_means_blocked_threads(many, cpu_seconds, expected):
    assert threads_block_each_other(Throughput(100, 1.0, 1.0), Throughput(many, 1.0, cpu_seconds), 12) is expected


@given(st.lists(st.integers(1, 10**6), min_size=3, max_size=3))
def test_workers_stop_at_a_ten_percent_gain(speeds):
    seen = looks(*zip((ONE, FOUR, PROCESSES), speeds, strict=True))
    by_readers = dict(zip((ONE, FOUR, PROCESSES), speeds, strict=True))
    best = seen.best()
    assert by_readers[best] >= 0.9 * max(speeds)
    assert best == ONE or by_readers[ONE] < 0.9 * max(speeds)
    assert best != PROCESSES or by_readers[FOUR] < 0.9 * max(speeds)
    assert seen.best(4).workers == 4


def test_measurement_is_one_sentence():
    seen = looks((Readers(1), 310), (Readers(12), 2900), (Readers(12, processes=True), 2800))
    assert seen.text() == "1 thread reads 310 samples/s, 12 threads 2,900, 12 processes 2,800"
