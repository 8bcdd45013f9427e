"""How reading scales: who is looked at, for how long, and who is chosen."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadSampleError
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.loaders.throughput import (
    MEASURE_SECONDS,
    Measurement,
    Readers,
    Scaling,
    Throughput,
    measure_scaling,
    threads_block_each_other,
)
from tests.support.clocks import VirtualTime
from tests.support.sources import NumberSource

TAKES = 0.002
MANY = 4000
ONE, FOUR, PROCESSES = Readers(1), Readers(4), Readers(4, processes=True)


@pytest.fixture(autouse=True)
def four_processors(monkeypatch):
    monkeypatch.setattr("runner.loaders.throughput.num_processors", lambda: 4)


@pytest.fixture
def clock(monkeypatch):
    """The time of measurements: it moves by what reading the batches is said to take."""
    made = VirtualTime()
    monkeypatch.setattr("runner.loaders.throughput.time", made.module)
    monkeypatch.setattr("runner.loaders.throughput.cpu_seconds", lambda: made.cpu)
    return made


class Waiting(NumberSource):
    """Samples whose reading waits, so that threads read them side by side."""

    blocks_threads = False

    def __init__(self, num_samples=MANY):
        super().__init__(num_samples)
        self.read_indices = []

    def read(self, index, out=None):
        self.read_indices.append(index)
        return super().read(index, out)


class Holding(Waiting):
    """Samples whose reading keeps the GIL, so that only processes read them side by side."""

    blocks_threads = True


class Locked(Holding):
    """What no process can be handed."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Bad(Waiting):
    """A sample that cannot be read."""

    def read(self, index, out):
        raise BadSampleError("photos/cat/1.jpg", "is empty")


@pytest.fixture
def opener(clock):
    """How loaders over a source are opened for measuring; notes in `requested` the readers and the batch size."""

    def open_with(source, requested=None, sample_seconds=TAKES):
        def opened(readers, batch_size):
            if requested is not None:
                requested.append((readers, batch_size))
            settings = Sequence(workers=readers.workers, use_multiprocessing=readers.processes, timeout_seconds=60.0)
            loader = settings.build(source, Plan(len(source), batch_size, shuffle=False))
            loader.stream = timed(loader.stream, readers)
            return loader

        def timed(stream, readers):
            at_once = 1 if source.blocks_threads and not readers.processes else readers.workers

            def batches(*place):
                for batch in stream(*place):
                    work = len(batch) * sample_seconds
                    clock.advance(work / at_once, cpu=work if source.blocks_threads else 0.0)
                    yield batch

            return batches

        return opened

    return open_with


def looks(*figures):
    """Measurements of these readers at these samples a second."""
    return Scaling(
        tuple(Measurement(readers, Throughput(round(1000 * speed), 1000.0, 1.0)) for readers, speed in figures)
    )


def test_waiting_threads_scale_and_are_chosen(opener, clock):
    requested = []
    seen = measure_scaling(opener(Waiting(), requested), 4, processes=True)
    assert clock.now == pytest.approx(4 * MEASURE_SECONDS, abs=0.1)
    assert [readers for readers, _ in requested] == [ONE, ONE, FOUR, ONE, FOUR]
    assert seen.best() == FOUR
    assert all(one.throughput.seconds >= MEASURE_SECONDS for one in seen.measurements)
    speeds = {one.readers: one.samples_per_second for one in seen.measurements}
    assert speeds == {ONE: pytest.approx(1 / TAKES), FOUR: pytest.approx(4 / TAKES)}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader-")]


def test_measurements_share_no_samples(opener):
    source, requested = Waiting(), []
    measure_scaling(opener(source, requested), 4, processes=True)
    assert requested[0][1] == 1
    assert all(9 <= size <= 10 for _, size in requested[1:])  # a fiftieth of a second
    again = {index for index, times in Counter(source.read_indices).items() if times > 1}
    assert max(again, default=0) < 40  # those that were read one by one
    assert {index * 5 // MANY for index in source.read_indices} == {0, 1, 2, 3}


def test_processes_are_tried_when_threads_block(opener):
    requested = []
    seen = measure_scaling(opener(Holding(), requested), 4, processes=True)
    assert [readers for readers, _ in requested] == [ONE, *(ONE, FOUR) * 2, PROCESSES]
    assert seen.text() == "1 thread reads 500 samples/s, 4 threads 500, 4 processes 2,000"


def test_requested_threads_exclude_processes(opener):
    seen = measure_scaling(opener(Holding()), 4, processes=False)
    assert [one.readers for one in seen.measurements] == [ONE, FOUR]


def test_failing_processes_are_reported(opener):
    seen = measure_scaling(opener(Locked()), 4, processes=True)
    assert seen.text().endswith(", 4 processes cannot read them (cannot pickle '_thread.lock' object)")
    assert seen.best() == ONE


def test_small_data_is_not_measured(opener):
    source = Waiting(num_samples=100)
    seen = measure_scaling(opener(source), 4, processes=True)
    assert not seen.measurements
    assert seen.skipped == "1 thread reads all samples in 0.2 s"
    assert len(source.read_indices) < 40


def test_very_slow_samples_are_not_measured(opener, clock):
    requested = []
    assert measure_scaling(opener(Waiting(), requested, 0.1), 30, processes=True).skipped == "a sample takes 0.10 s"
    assert requested == [(ONE, 1)]
    assert clock.now == pytest.approx(0.2)  # of two samples


def test_unreadable_sample_is_left_to_the_run(opener):
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
