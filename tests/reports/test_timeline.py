"""The picture of a trace."""

from runner.records.trace import Lane, Span
from runner.reports.timeline import MAX_LANES, describe_timeline, draw_timeline

MS = 1_000_000
MODEL = Lane(
    "model",
    [
        Span("wait", 100 * MS, 110 * MS, {"step": 1}),
        Span("train", 110 * MS, 130 * MS, {"step": 1}),
        Span("wait", 130 * MS, 140 * MS, {"step": 2}),
        Span("train", 140 * MS, 160 * MS, {"step": 2}),
    ],
)
WORKER = Lane("worker 1", [Span("prepare", 101 * MS, 109 * MS, {"samples": 8})])


def rows(lanes):
    axes = draw_timeline(lanes).axes[0]
    return [label.get_text() for label in axes.get_yticklabels()], axes


def bars(axes):
    """Begin and end of every bar, by the hatch that marks its kind."""
    found = {}
    for patch in axes.patches:
        for bar in patch.get_path().to_polygons():
            found.setdefault(patch.get_hatch(), []).append((round(min(bar[:, 0])), round(max(bar[:, 0]))))
    return found


def test_bars_match_times_and_are_hatched():
    names, axes = rows([MODEL, WORKER])
    assert names == ["model", "worker 1"]
    assert bars(axes) == {"//////": [(0, 10), (30, 40)], "------": [(1, 9)], None: [(10, 30), (40, 60)]}
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["model trains", "model waits for a batch", "samples are prepared"]


def test_main_thread_preparation_has_its_own_row():
    own = Lane("model", [*MODEL.spans, Span("prepare", 102 * MS, 104 * MS, {"samples": 8})])
    names, axes = rows([own])
    assert names == ["model", "model thread"]
    assert bars(axes)["------"] == [(2, 4)]


def test_many_workers_are_drawn_up_to_a_limit():
    names, _ = rows([MODEL, *(Lane(f"worker {number}", WORKER.spans) for number in range(1, 40))])
    assert len(names) == MAX_LANES


def test_picture_has_a_description():
    assert describe_timeline([MODEL, WORKER]) == "2 steps: the model waited 33% of the time; 1 worker"
