"""The picture of a trace."""

import numpy as np

from runner.records.trace import Lane, Span
from runner.reports.timeline import MAX_LANES, describe_timeline, timeline_of, timeline_svg
from runner.reports.timeline_picture import draw_timeline

MS = 1_000_000


def model(*steps):
    """A lane of steps: when each begins to wait, begins to train, and ends."""
    spans = []
    for number, (wait, train, end) in enumerate(steps, 1):
        details = {"step": number}
        spans += [Span("wait", wait * MS, train * MS, details), Span("train", train * MS, end * MS, details)]
    return Lane("model", spans)


MODEL = model((100, 110, 130), (130, 140, 160))
WORKER = Lane("worker 1", [Span("prepare", 101 * MS, 109 * MS, {"samples": 8})])


def test_bars_match_times():
    timeline = timeline_of([MODEL, WORKER])
    assert [row.name for row in timeline.rows] == ["model", "worker 1"]
    assert timeline.rows[0].bars == {"train": [(10, 30), (40, 60)], "wait": [(0, 10), (30, 40)], "prepare": []}
    assert timeline.rows[1].bars["prepare"] == [(1, 9)]
    assert (timeline.milliseconds, timeline.skipped) == (60, "")


def test_main_thread_preparation_has_its_own_row():
    own = Lane("model", [*MODEL.spans, Span("prepare", 102 * MS, 104 * MS, {"samples": 8})])
    timeline = timeline_of([own])
    assert [row.name for row in timeline.rows] == ["model", "model thread"]
    assert timeline.rows[1].bars["prepare"] == [(2, 4)]


def test_what_workers_did_before_is_cut():
    early = Lane("worker 1", [Span("prepare", 0, 50 * MS), Span("prepare", 90 * MS, 105 * MS)])
    assert timeline_of([MODEL, early]).rows[1].bars["prepare"] == [(0, 5)]


def test_compiling_step_is_left_out_and_named():
    timeline = timeline_of([model((0, 10, 3000), (3000, 3001, 3010), (3010, 3012, 3020), (3020, 3021, 3030))])
    assert timeline.milliseconds == 30
    assert timeline.skipped == "The first step, in which the model was compiled, took 3.0 s and is left out."


def test_slow_short_step_is_no_compiling():
    timeline = timeline_of([model((0, 1, 30), (30, 31, 33), (33, 34, 36), (36, 37, 39))])
    assert (timeline.milliseconds, timeline.skipped) == (39, "")


def test_many_workers_are_drawn_up_to_a_limit():
    workers = [Lane(f"worker {number}", WORKER.spans) for number in range(1, 40)]
    assert len(timeline_of([MODEL, *workers]).rows) == MAX_LANES


def test_kinds_differ_in_more_than_colour():
    svg = timeline_svg(timeline_of([MODEL, Lane("<worker>", WORKER.spans)]))
    assert all(f'class="bar-{kind}"' in svg for kind in ("train", "wait", "prepare"))
    assert all(
        words in svg for words in ("model waits for a batch", "&lt;worker&gt;", 'id="waiting"', 'id="preparing"')
    )


def test_picture_shows_the_same_bars():
    pixels = np.asarray(draw_timeline([MODEL, WORKER]))
    filled = (pixels == (31, 95, 168)).all(axis=2)
    row = filled[40, 110:1224]
    assert (row.mean(), row[:170].any(), row[200:540].all()) == (
        abs(row.mean() - 2 / 3) < 0.02 and row.mean(),
        False,
        True,
    )


def test_picture_has_a_description():
    assert describe_timeline([MODEL, WORKER]) == "2 steps: the model waited 33% of the time; 1 worker"
