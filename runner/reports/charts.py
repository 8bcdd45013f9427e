"""Charts of a page, drawn as SVG that takes its colours and its font from the page.

There are learning curves, from the metrics of a run, and scatter plots of predicted over true values. The parts that
they share, such as axes, lines and legends, also serve the charts of a sweep.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK, MUTED, GRID, FIRST, SECOND = "#100001", "#100002", "#100003", "#100004", "#100005"
COLOURS = {INK: "--ink", MUTED: "--muted", GRID: "--line", FIRST: "--first", SECOND: "--second"}
"""Placeholders for the colours of the page, which differ in light and dark mode."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "runner",
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.formatter.useoffset": False,
}
DASHED = (0, (4, 2.5))
SIZE_INCHES = (3.6, 2.3)
PAD_INCHES = 0.04
"""The least distance between a label and the edge of its chart."""

MIDDLE = (0.1, 0.1, 0.8, 0.8)
"""Where axes are until their labels are known."""

MAX_MARKED_EPOCHS = 30
"""Epochs up to which each one has a marker."""


@dataclass(frozen=True)
class Chart:
    """A chart: its title, the columns it shows, the drawing, and a description for those who cannot see it."""

    title: str
    columns: tuple[str, ...]
    svg: Markup
    description: str


@dataclass(frozen=True)
class LegendEntry:
    """A sample of a line or marker, and what it stands for."""

    svg: Markup
    text: str


SPLIT_LINES: tuple[dict[str, Any], ...] = (
    {"color": FIRST, "linestyle": "-", "marker": "o"},
    {"color": SECOND, "linestyle": DASHED, "marker": "s"},
)
"""Training, then validation: they differ in dash and marker, not only in colour."""

SINGLE_COLUMNS = {
    "learning_rate": "learning rate",
    "images_per_second": "images per second",
    "wait_share": "share of time waiting for data",
}
"""Columns that exist only for training, and the titles of their charts."""

COLUMNS_NOT_DRAWN = ("epoch", "seconds", "samples_seen")


def learning_curves(rows: Sequence[Mapping[str, float | None]]) -> list[Chart]:
    """A chart for the loss and each metric, training and validation together; then learning rate, speed and waiting."""
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in COLUMNS_NOT_DRAWN))
    bases = [name for name in columns if name not in SINGLE_COLUMNS and not name.startswith("val_")]
    groups = [tuple(name for name in (base, f"val_{base}") if name in columns) for base in bases]
    groups += [(name,) for name in SINGLE_COLUMNS if name in columns]
    epochs = [row["epoch"] or 0 for row in rows]
    values = {name: [row.get(name) for row in rows] for name in columns}
    figure, axes = new_axes()
    return [_learning_curve(figure, axes, number, group, epochs, values) for number, group in enumerate(groups)]


def split_legend() -> list[LegendEntry]:
    """The lines of training and validation."""
    return legend("split", dict(zip(("training", "validation"), SPLIT_LINES, strict=True)))


def _learning_curve(
    figure: Figure,
    axes: Axes,
    number: int,
    group: tuple[str, ...],
    epochs: Sequence[float],
    values: dict[str, list[Any]],
) -> Chart:
    """A chart on axes that all curves share, as it takes as long to make them as to draw; they are left empty."""
    from matplotlib.ticker import MaxNLocator

    lines = [draw_line(axes, epochs, values[column], line) for column, line in zip(group, SPLIT_LINES, strict=False)]
    label_epochs(axes)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    svg = chart_svg(figure, axes, f"panel-{number}")
    for line in lines:
        line.remove()
    axes.relim()
    axes.set_xlim(0, 1, auto=True)  # for a chart without a value
    axes.set_ylim(0, 1, auto=True)
    title = SINGLE_COLUMNS.get(group[0], group[0].replace("_", " "))
    return Chart(title, group, svg, _describe(group, values))


def _describe(group: tuple[str, ...], values: dict[str, list[Any]]) -> str:
    texts = []
    for column in group:
        known = [value for value in values[column] if value is not None]
        if known:
            ends = f"{column} goes from {known[0]:.4g} to {known[-1]:.4g}"
            texts.append(f"{ends} (lowest {min(known):.4g}, highest {max(known):.4g})")
    return "; ".join(texts)


def scatter(name: str, truth: Sequence[float], predicted: Sequence[float]) -> Markup:
    """Predicted over true values, one point per sample, with the line on which they are equal."""
    figure, axes = new_axes()
    low, high = min(*truth, *predicted), max(*truth, *predicted)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.plot(truth, predicted, linestyle="", marker="o", markersize=3, markeredgewidth=0, color=FIRST, alpha=0.6)
    axes.set_xlabel("true value")
    axes.set_ylabel("predicted value")
    return chart_svg(figure, axes, f"scatter-{re.sub('[^A-Za-z0-9]', '-', name)}")


def residuals(name: str, truth: Sequence[float], predicted: Sequence[float]) -> Markup:
    """Predicted minus true values over the true ones, one point per sample, with the line without error."""
    figure, axes = new_axes()
    axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=DASHED)
    errors = [guess - value for value, guess in zip(truth, predicted, strict=True)]
    axes.plot(truth, errors, linestyle="", marker="o", markersize=3, markeredgewidth=0, color=FIRST, alpha=0.6)
    axes.set_xlabel("true value")
    axes.set_ylabel("predicted − true")
    return chart_svg(figure, axes, f"residuals-{re.sub('[^A-Za-z0-9]', '-', name)}")


def new_axes() -> tuple[Figure, Axes]:
    """An empty chart; `chart_svg` places its axes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES)
        return figure, figure.add_axes(MIDDLE)


def draw_line(axes: Axes, epochs: Sequence[float], values: Sequence[float | None], line: dict[str, Any]) -> Line2D:
    """Draw a curve over the epochs that have a value; with few epochs, each has a marker."""
    known = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
    marker = line["marker"] if len(known) <= MAX_MARKED_EPOCHS else ""
    (drawn,) = axes.plot(
        *zip(*known, strict=True) if known else ((), ()), **{"markersize": 4, **line, "marker": marker}
    )
    return drawn


def label_epochs(axes: Axes) -> None:
    """Put whole epochs on the horizontal axis."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.margins(x=0.03, y=0.08)


def legend(prefix: str, lines: Mapping[str, dict[str, Any]]) -> list[LegendEntry]:
    """An entry for each line, by its text."""
    return [
        LegendEntry(_line_sample(f"{prefix}-{number}", line), text) for number, (text, line) in enumerate(lines.items())
    ]


def _line_sample(prefix: str, line: dict[str, Any]) -> Markup:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(0.5, 0.17))
    figure.add_artist(Line2D([0.05, 0.5, 0.95], [0.5, 0.5, 0.5], **line, markevery=[1]))
    return inline_svg(figure, prefix)


def chart_svg(figure: Figure, axes: Axes, prefix: str) -> Markup:
    """The chart as `inline_svg` gives it, with the room that its labels need."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        make_room(figure, axes)
    return inline_svg(figure, prefix)


def make_room(figure: Figure, axes: Axes) -> None:
    """Place the axes so that they fill the figure together with their labels.

    It measures the labels once; Matplotlib's own layouts do so four times, which takes half the time of a chart.
    """
    inner = axes.get_window_extent()
    outer = axes.get_tightbbox() or inner
    (width, height), pad = figure.bbox.size, PAD_INCHES * figure.dpi
    left, bottom = max(0, inner.x0 - outer.x0) + pad, max(0, inner.y0 - outer.y0) + pad
    right, top = max(0, outer.x1 - inner.x1) + pad, max(0, outer.y1 - inner.y1) + pad
    axes.set_position((left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height))


def inline_svg(figure: Figure, prefix: str) -> Markup:
    """The figure as an SVG element for a page, without metadata or a fixed size; `prefix` makes its ids unique."""
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for colour, name in COLOURS.items():
        text = text.replace(colour, f"var({name})")
    # The page sets the font, and the width of the chart scales its text.
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
    return Markup(text)
