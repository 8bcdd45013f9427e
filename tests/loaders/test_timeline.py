"""The first steps of an epoch, span by span."""

import time
from threading import get_native_id

import numpy as np
import pytest

from runner.loaders import timing as module
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.loaders.timing import MOST_SPANS, STEPS, Timeline, WorkSpan
from runner.records.trace import MODEL, PREPARE, TRAIN, WAIT

SECOND = 10**9


def run(num_steps, *, ahead=0, pieces=1):
    """Steps of 10, of which 2 are waited; one worker prepares each batch `ahead` steps before, in `pieces`."""
    timeline = Timeline()
    timeline.begin()
    for step in range(num_steps):
        for piece in range(pieces):
            timeline.add_work(WorkSpan(7, (step - ahead) * 10 + piece, (step - ahead) * 10 + piece + 1, 4, fetch=1))
        timeline.add_wait(step * 10, step * 10 + 2)
    return timeline


def spans(lane, name):
    return [(span.begin, span.end) for span in lane.spans if span.name == name]


def test_timeline_shows_waits_steps_and_lanes():
    model, worker = run(STEPS + 5).lanes()
    assert (model.name, worker.name) == (MODEL, "worker 1")
    assert spans(model, WAIT) == [(step * 10, step * 10 + 2) for step in range(STEPS)]
    assert spans(model, TRAIN) == [(step * 10 + 2, step * 10 + 10) for step in range(STEPS)]
    assert spans(worker, PREPARE) == [(step * 10, step * 10 + 1) for step in range(STEPS)]
    assert worker.spans[0].details == {"samples": 4, "fetch_ms": 1e-6}
    assert [span.details["step"] for span in model.spans[:4]] == [1, 1, 2, 2]


@pytest.mark.parametrize("ahead", [0, 1, 10, 30])
def test_earlier_work_is_shown_to_the_end(ahead):
    _, worker = run(STEPS + ahead + 5, ahead=ahead).lanes()
    assert worker.spans[-1].begin == (STEPS - 1) * 10


def test_epoch_that_ends_before_is_shown_whole(monkeypatch):
    timeline = run(3)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: 35)
    timeline.end()
    model, worker = timeline.lanes()
    assert spans(model, TRAIN)[-1] == (22, 35)
    assert len(worker.spans) == 3


def test_repeated_epoch_end_changes_nothing():
    timeline = run(STEPS + 5)
    before = timeline.lanes()
    timeline.end()
    assert timeline.lanes() == before


def test_next_epoch_replaces_the_last(monkeypatch):
    timeline = run(STEPS + 5)
    timeline.begin()
    timeline.add_wait(SECOND, SECOND + 1)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: SECOND + 5)
    timeline.end()
    (model,) = timeline.lanes()
    assert [(span.begin, span.end) for span in model.spans] == [(SECOND, SECOND + 1), (SECOND + 1, SECOND + 5)]


def test_full_timeline_ends_the_picture():
    timeline = run(20, pieces=MOST_SPANS // 10 + 1)
    model, worker = timeline.lanes()
    assert len(timeline._work) == MOST_SPANS
    assert 0 < len(worker.spans) <= MOST_SPANS
    assert model.spans[-1].end > worker.spans[-1].begin
    assert all(span.begin < model.spans[-1].end for span in worker.spans)


def test_timeline_needs_an_epoch_and_a_step():
    timeline = Timeline()
    timeline.add_work(WorkSpan(7, 0, 1, 4))
    timeline.add_wait(0, 1)
    assert timeline.lanes() == []
    timeline.begin()
    timeline.end()
    assert timeline.lanes() == []


def test_main_thread_work_has_the_models_lane(monkeypatch):
    timeline = Timeline()
    timeline.begin()
    timeline.add_work(WorkSpan(get_native_id(), 1, 3, 4, assemble=2))
    timeline.add_wait(0, 4)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: 9)
    timeline.end()
    (model,) = timeline.lanes()
    assert [span.name for span in model.spans] == [WAIT, TRAIN, PREPARE]


@pytest.mark.parametrize("processes", [False, True])
def test_workers_share_the_models_clock(obedient, processes):
    settings = Sequence(workers=2, use_multiprocessing=processes, batch_size=4)
    with settings.build(obedient("doze", 32), Plan(num_samples=32, batch_size=4, seed=0)) as loader:
        loader.clock.timeline.begin()
        batches = iter(loader.stream(0, 8))
        for _ in range(8):
            with loader.clock.waiting():
                next(batches)
            time.sleep(0.002)
        loader.clock.timeline.end()
        model, *workers = loader.clock.timeline.lanes()
    assert 1 <= len(workers) <= 2
    prepared = sorted((span for lane in workers for span in lane.spans), key=lambda span: span.begin)
    assert sum(span.details["samples"] for span in prepared) == 32
    # Each batch of 4 that take 10 ms each is prepared before its wait is over, and within the time of the picture.
    assert all(span.end - span.begin > 4 * 0.01 * SECOND for span in prepared)
    waits = spans(model, WAIT)
    assert waits[0][0] <= prepared[0].begin
    ends = np.sort([span.end for span in prepared])
    assert all(end <= wait_end for end, (_, wait_end) in zip(ends, waits, strict=True))
