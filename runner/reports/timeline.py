"""The timeline of a trace: when the model trains or waits, and when its workers prepare samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup, escape

from runner.messages import plural
from runner.records.trace import MODEL, PREPARE, TRAIN, WAIT, Lane, Span
from runner.reports.axes import Axis, whole_axis
from runner.reports.plot import LETTER

MAX_LANES = 17
"""The most lanes to draw; more would be unreadable."""

COMPILING, COMPILING_NS = 5, 100_000_000
"""A first step compiles the model, and is left out, if it takes this many times as long as most, and 0.1 s."""

WIDTH, TOP, LANE, BELOW = 1240, 28, 26, 40
"""The width of the drawing, the heights of its legend, of a lane, and of the axis, in the unit of the drawing."""

TITLES = {TRAIN: "model trains", WAIT: "model waits for a batch", PREPARE: "samples are prepared"}


@dataclass(frozen=True)
class Row:
    """A row of the timeline: its name, and by kind the bars, from and to a millisecond of the timeline."""

    name: str
    bars: dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class DrawnSteps:
    """The rows of a trace within the time of the model's steps, which begin at 0; `skipped`: what is left out."""

    rows: Sequence[Row]
    milliseconds: float
    skipped: str = ""

    @property
    def axis(self) -> Axis:
        """The axis of time."""
        ticks = whole_axis([0, max(self.milliseconds, 1)]).ticks
        return Axis(0, max(self.milliseconds, 1e-6), ticks, "milliseconds")


def timeline_of(lanes: Sequence[Lane]) -> DrawnSteps:
    """The steps of the model in the top row, and a row below for each worker that prepared samples.

    It begins with the first step, without one that compiled the model: what workers prepared earlier is left out.
    """
    steps = _steps({lane.name: lane.spans for lane in lanes}[MODEL])
    first, skipped = _first_step(steps)
    begin, end = steps[first][0], steps[-1][1]
    rows = [Row(name, _bars(spans, begin, end)) for name, spans in _rows(lanes)]
    return DrawnSteps(rows, (end - begin) / 1e6, skipped)


def describe_timeline(lanes: Sequence[Lane]) -> str:
    """The timeline in words, for those who cannot see it."""
    model = {lane.name: lane.spans for lane in lanes}[MODEL]
    spent = {name: sum(span.end - span.begin for span in model if span.name == name) for name in (WAIT, TRAIN)}
    share = spent[WAIT] / max(1, sum(spent.values()))
    steps = plural(len(_steps(model)), "step")
    return f"{steps}: the model waited {share:.0%} of the time; {plural(len(lanes) - 1, 'worker')}"


def _steps(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Begin and end of each step of the model, with its wait."""
    by_step: dict[int, list[Span]] = {}
    for span in spans:
        if span.name != PREPARE:
            by_step.setdefault(span.details["step"], []).append(span)
    return [(min(span.begin for span in each), max(span.end for span in each)) for each in by_step.values()]


def _first_step(steps: Sequence[tuple[int, int]]) -> tuple[int, str]:
    """The index of the first step to draw, and why an earlier one is left out."""
    lengths = [end - begin for begin, end in steps]
    if len(steps) < 3 or lengths[0] < max(COMPILING_NS, COMPILING * median(lengths[1:])):
        return 0, ""
    return 1, f"The first step, in which the model was compiled, took {lengths[0] / 1e9:.1f} s and is left out."


def _rows(lanes: Sequence[Lane]) -> Iterator[tuple[str, list[Span]]]:
    """The rows to draw: samples that the thread of the model prepares get a row, as they overlap its waiting."""
    for lane in lanes[:MAX_LANES]:
        prepared = [span for span in lane.spans if span.name == PREPARE]
        if lane.name != MODEL:
            yield lane.name, prepared
            continue
        yield MODEL, [span for span in lane.spans if span.name != PREPARE]
        if prepared:
            yield "model thread", prepared


def _bars(spans: Sequence[Span], begin: int, end: int) -> dict[str, list[tuple[float, float]]]:
    """The bars by kind, cut at both ends of the timeline."""
    bars: dict[str, list[tuple[float, float]]] = {kind: [] for kind in TITLES}
    for span in spans:
        if span.end > begin and span.begin < end:
            bars[span.name].append(((max(span.begin, begin) - begin) / 1e6, (min(span.end, end) - begin) / 1e6))
    return bars


def timeline_svg(timeline: DrawnSteps) -> Markup:
    """The drawing for a page: training is filled, waiting has diagonal lines, preparing horizontal ones."""
    left = 16 + LETTER * max(len(row.name) for row in timeline.rows)
    bottom = TOP + LANE * len(timeline.rows)
    axis = timeline.axis
    scale = (WIDTH - 16 - left) / axis.high
    parts = [_PATTERNS, *_legend(left)]
    for value, text in axis.ticks:
        across = left + scale * value
        parts.append(f'<path class="ruled" d="M{across:.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text x="{across:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    parts.append(f'<text x="{(left + WIDTH) / 2:.0f}" y="{bottom + 34}" text-anchor="middle">{axis.label}</text>')
    for place, row in enumerate(timeline.rows):
        top = TOP + LANE * place + 4
        parts.append(f'<text x="{left - 8:.1f}" y="{top + 13}" text-anchor="end">{escape(row.name)}</text>')
        for kind, bars in row.bars.items():
            path = "".join(_bar(left + scale * since, top, scale * (to - since)) for since, to in bars)
            parts.append(f'<path class="bar-{kind}" d="{path}"/>' if path else "")
    return Markup(f'<svg viewBox="0 0 {WIDTH} {bottom + BELOW}" aria-hidden="true">{"".join(parts)}</svg>')


def _bar(x: float, y: float, width: float) -> str:
    return f"M{x:.1f} {y}h{max(width, 0.2):.1f}v{LANE - 8}h-{max(width, 0.2):.1f}z"


_PATTERNS = (
    '<defs><pattern id="waiting" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M-1 7L7-1M-1 1L1-1M5 7L7 5"/></pattern>'
    '<pattern id="preparing" width="4" height="4" patternUnits="userSpaceOnUse"><path d="M0 2H4"/></pattern></defs>'
)


def _legend(left: float) -> Iterator[str]:
    for number, (kind, title) in enumerate(TITLES.items()):
        x = left + number * 200
        yield f'<path class="bar-{kind}" d="M{x:.1f} 3h26v12h-26z"/><text x="{x + 33:.1f}" y="13">{title}</text>'
