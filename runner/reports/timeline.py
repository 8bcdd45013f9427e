"""The timeline of a trace: when the model trains or waits, and when its workers prepare samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.messages import plural
from runner.records.trace import MODEL, PREPARE, TRAIN, WAIT, Lane, Span
from runner.reports.charts import MIDDLE, make_room

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LANES = 17
"""The most lanes to draw; more would be unreadable."""

INCHES, LANE_INCHES = 9.0, 0.3
"""The width of the timeline and the height of a lane; axis and legend need another inch."""


@dataclass(frozen=True)
class Palette:
    """Colours of the timeline; the defaults suit a white background."""

    ink: str = "#1c1d20"
    muted: str = "#62656c"
    line: str = "#e3e3df"
    train: str = "#1f5fa8"
    prepare: str = "#b4530a"


def draw_timeline(lanes: Sequence[Lane], palette: Palette = Palette()) -> Figure:
    """Draw the steps of the model in the top row, and a row below for each worker that prepared samples.

    Training is filled, waiting has diagonal lines, preparing horizontal lines, idle time is blank. (Dots would add
    400 kB to a page.)
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows, drawn = list(_rows(lanes)), [span for lane in lanes for span in lane.spans]
    zero = min(span.begin for span in drawn)
    with rc_context({"font.size": 9, "hatch.linewidth": 0.6, "svg.fonttype": "none", "svg.hashsalt": "runner"}):
        figure = Figure(figsize=(INCHES, 1.2 + LANE_INCHES * len(rows)))
        axes = figure.add_axes(MIDDLE)
        for place, (_, spans) in enumerate(rows):
            _draw_row(axes, place, spans, zero, palette)
        axes.set_xlim(0, max(span.end - zero for span in drawn) / 1e6)
        _label(axes, [name for name, _ in rows], palette)
        make_room(figure, axes)
    return figure


def describe_timeline(lanes: Sequence[Lane]) -> str:
    """The timeline in words, for those who cannot see it."""
    model = {lane.name: lane.spans for lane in lanes}[MODEL]
    spent = {name: sum(span.end - span.begin for span in model if span.name == name) for name in (WAIT, TRAIN)}
    steps = len({span.details["step"] for span in model if span.name != PREPARE})
    share = spent[WAIT] / max(1, sum(spent.values()))
    return f"{plural(steps, 'step')}: the model waited {share:.0%} of the time; {plural(len(lanes) - 1, 'worker')}"


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


def _draw_row(axes: Axes, place: int, spans: Sequence[Span], zero: int, palette: Palette) -> None:
    """Draw all bars of one kind as one shape: thousands of shapes would take megabytes."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for name, style in _styles(palette).items():
        bars = [
            Path(
                [(since, place - 0.38), (to, place - 0.38), (to, place + 0.38), (since, place + 0.38), (since, place)],
                closed=True,
            )
            for since, to in (_milliseconds(span, zero) for span in spans if span.name == name)
        ]
        if bars:
            # `add_patch` would look for limits in every bar, which takes as long as the rest of the drawing.
            axes.add_artist(PathPatch(Path.make_compound_path(*bars), linewidth=0.4, **style))


def _milliseconds(span: Span, zero: int) -> tuple[float, float]:
    return (span.begin - zero) / 1e6, (span.end - zero) / 1e6


def _styles(palette: Palette) -> dict[str, dict[str, Any]]:
    return {
        TRAIN: {"facecolor": palette.train, "edgecolor": palette.train},
        WAIT: {"facecolor": "none", "edgecolor": palette.ink, "hatch": "//////"},
        PREPARE: {"facecolor": "none", "edgecolor": palette.prepare, "hatch": "------"},
    }


def _label(axes: Axes, names: Sequence[str], palette: Palette) -> None:
    from matplotlib.patches import Patch

    axes.set_yticks(range(len(names)), names, color=palette.ink)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("milliseconds since the first batch of the epoch was requested", color=palette.muted)
    axes.tick_params(length=0, colors=palette.muted, labelcolor=palette.ink)
    axes.grid(axis="x", color=palette.line, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    titles = {TRAIN: "model trains", WAIT: "model waits for a batch", PREPARE: "samples are prepared"}
    patches = [Patch(label=titles[name], linewidth=0.4, **style) for name, style in _styles(palette).items()]
    axes.legend(
        handles=patches, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, labelcolor=palette.ink
    )
