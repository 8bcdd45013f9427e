"""The picture of a trace: how preparing samples and training go on beside each other, and who waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.records.trace import MODEL, PREPARE, TRAIN, WAIT, Lane, Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LANES = 17
"""Lanes that are drawn: more cannot be told apart."""

INCHES, LANE_INCHES = 9.0, 0.3
"""The width of the picture, and the height of a lane; the axis and the legend take another inch."""


@dataclass(frozen=True)
class Palette:
    """Colours of the picture, on light paper unless told otherwise."""

    ink: str = "#1c1d20"
    muted: str = "#62656c"
    line: str = "#e3e3df"
    train: str = "#1f5fa8"
    prepare: str = "#b4530a"


def draw_timeline(lanes: Sequence[Lane], palette: Palette = Palette()) -> Figure:
    """Time from left to right; the model's steps above, and below them who prepared their samples, a row each.

    Training is filled, waiting hatched aslant, preparing hatched level; who does nothing leaves a gap. (Dots as a hatch
    would be 400 kB of a page.)
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows, drawn = list(_rows(lanes)), [span for lane in lanes for span in lane.spans]
    zero = min(span.begin for span in drawn)
    with rc_context({"font.size": 9, "hatch.linewidth": 0.6, "svg.fonttype": "none", "svg.hashsalt": "runner"}):
        figure = Figure(figsize=(INCHES, 1.2 + LANE_INCHES * len(rows)), layout="constrained")
        axes = figure.subplots()
        for place, (_, spans) in enumerate(rows):
            _draw_row(axes, place, spans, zero, palette)
        axes.set_xlim(0, max(span.end - zero for span in drawn) / 1e6)
        _dress(axes, [name for name, _ in rows], palette)
    return figure


def told_in_words(lanes: Sequence[Lane]) -> str:
    """What somebody hears who cannot see the picture."""
    model = {lane.name: lane.spans for lane in lanes}[MODEL]
    spent = {name: sum(span.end - span.begin for span in model if span.name == name) for name in (WAIT, TRAIN)}
    steps = len({span.details["step"] for span in model if span.name != PREPARE})
    share = spent[WAIT] / max(1, sum(spent.values()))
    return f"in {share:.0%} of the time of {steps} steps the model waited; workers beside it: {len(lanes) - 1}"


def _rows(lanes: Sequence[Lane]) -> Iterator[tuple[str, list[Span]]]:
    """What is drawn in a row of its own: what the model's thread prepares itself lies within its waiting."""
    for lane in lanes[:MOST_LANES]:
        prepared = [span for span in lane.spans if span.name == PREPARE]
        if lane.name != MODEL:
            yield lane.name, prepared
            continue
        yield MODEL, [span for span in lane.spans if span.name != PREPARE]
        if prepared:
            yield "same thread", prepared


def _draw_row(axes: Axes, place: int, spans: Sequence[Span], zero: int, palette: Palette) -> None:
    """All bars of one kind are one shape: thousands of their own would make a page of megabytes."""
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
            axes.add_patch(PathPatch(Path.make_compound_path(*bars), linewidth=0.4, **style))


def _milliseconds(span: Span, zero: int) -> tuple[float, float]:
    return (span.begin - zero) / 1e6, (span.end - zero) / 1e6


def _styles(palette: Palette) -> dict[str, dict[str, Any]]:
    return {
        TRAIN: {"facecolor": palette.train, "edgecolor": palette.train},
        WAIT: {"facecolor": "none", "edgecolor": palette.ink, "hatch": "//////"},
        PREPARE: {"facecolor": "none", "edgecolor": palette.prepare, "hatch": "------"},
    }


def _dress(axes: Axes, names: Sequence[str], palette: Palette) -> None:
    from matplotlib.patches import Patch

    axes.set_yticks(range(len(names)), names, color=palette.ink)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("milliseconds since the epoch's first batch was asked for", color=palette.muted)
    axes.tick_params(length=0, colors=palette.muted, labelcolor=palette.ink)
    axes.grid(axis="x", color=palette.line, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    titles = {TRAIN: "the model trains", WAIT: "it waits for a batch", PREPARE: "samples are prepared"}
    patches = [Patch(label=titles[name], linewidth=0.4, **style) for name, style in _styles(palette).items()]
    axes.legend(
        handles=patches, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, labelcolor=palette.ink
    )
