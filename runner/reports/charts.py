"""How pictures of a page are drawn: as SVG that takes its colours and its font from the page.

How a run learnt: the columns of its metrics over its epochs.

Predicted over true values: every sample is a point.
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

INK, MUTED, GRID, FIRST, SECOND = "#100001", "#100002", "#100003", "#100004", "#100005"
COLOURS = {INK: "--ink", MUTED: "--muted", GRID: "--line", FIRST: "--first", SECOND: "--second"}
"""Colours nobody would choose, each in the place of one of the page's, light or dark."""

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

MARKED = 30
"""Epochs up to which every one has a marker."""

INCHES = (3.6, 2.3)


@dataclass(frozen=True)
class Panel:
    """One chart: its title, what it is drawn from, the drawing, and the drawing in words."""

    title: str
    columns: tuple[str, ...]
    svg: Markup
    words: str


@dataclass(frozen=True)
class Key:
    """An entry of a legend: how a line or a mark is drawn, and what it stands for."""

    svg: Markup
    text: str


def legend(prefix: str, lines: Mapping[str, dict[str, Any]]) -> list[Key]:
    """An entry for each line, by what it stands for."""
    return [Key(_swatch(f"{prefix}-{number}", line), text) for number, (text, line) in enumerate(lines.items())]


def new_axes() -> tuple[Figure, Axes]:
    """A chart to draw in."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=INCHES, layout="constrained")
        return figure, figure.subplots()


def draw_line(axes: Axes, epochs: Sequence[float], values: Sequence[float | None], line: dict[str, Any]) -> None:
    """A curve over the epochs in which there is a value, with a marker on each unless there are many."""
    known = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
    marker = line["marker"] if len(known) <= MARKED else ""
    axes.plot(*zip(*known, strict=True) if known else ((), ()), **{"markersize": 4, **line, "marker": marker})


def lay_epochs(axes: Axes) -> None:
    """Epochs along the bottom, whole ones."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.margins(x=0.03, y=0.08)


def _swatch(prefix: str, line: dict[str, Any]) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.5, 0.17))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.plot([0, 1, 2], [0, 0, 0], **line, markevery=[1])
    return inline_svg(figure, prefix)


def inline_svg(figure: Figure, prefix: str) -> Markup:
    """The figure as an element of a page: without colours, names or sizes of its own."""
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for colour, name in COLOURS.items():
        text = text.replace(colour, f"var({name})")
    # The text's font is the page's; the size follows the width there is.
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
    return Markup(text)


Row = dict[str, int | float | None]

LINES: tuple[dict[str, Any], ...] = (
    {"color": FIRST, "linestyle": "-", "marker": "o"},
    {"color": SECOND, "linestyle": DASHED, "marker": "s"},
)
"""Training, then validation: told apart by dash and marker as well as by colour."""

OTHERS = ("learning_rate", "images_per_second", "wait_share")
TITLES = {"learning_rate": "learning rate", "images_per_second": "images per second", "wait_share": "share of waiting"}
NOT_DRAWN = ("epoch", "seconds", "samples_seen")


def learning_curves(rows: Sequence[Row]) -> list[Panel]:
    """A panel for the loss and for each metric, training and validation together; then rate, speed and waiting."""
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in NOT_DRAWN))
    bases = [name for name in columns if name not in OTHERS and name.removeprefix("val_") == name]
    groups = [tuple(name for name in (base, f"val_{base}") if name in columns) for base in bases]
    groups += [(name,) for name in OTHERS if name in columns]
    epochs = [row["epoch"] or 0 for row in rows]
    values = {name: [row.get(name) for row in rows] for name in columns}
    return [_panel(number, group, epochs, values) for number, group in enumerate(groups)]


def split_legend() -> list[Key]:
    """Which line is which split."""
    return legend("split", dict(zip(("training", "validation"), LINES, strict=True)))


def _panel(number: int, group: tuple[str, ...], epochs: Sequence[float], values: dict[str, list[Any]]) -> Panel:
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_axes()
    for column, line in zip(group, LINES, strict=False):
        draw_line(axes, epochs, values[column], line)
    lay_epochs(axes)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    title = TITLES.get(group[0], group[0].replace("_", " "))
    return Panel(title, group, inline_svg(figure, f"panel-{number}"), _words(group, values))


def _words(group: tuple[str, ...], values: dict[str, list[Any]]) -> str:
    """What somebody hears who cannot see the chart."""
    told = []
    for column in group:
        known = [value for value in values[column] if value is not None]
        if known:
            told.append(
                f"{column} from {known[0]:.4g} to {known[-1]:.4g}, between {min(known):.4g} and {max(known):.4g}"
            )
    return "; ".join(told)


def scatter(name: str, truth: Sequence[float], predicted: Sequence[float]) -> Markup:
    """Predicted over true values, with the line on which they are equal."""
    figure, axes = new_axes()
    low, high = min(*truth, *predicted), max(*truth, *predicted)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.plot(truth, predicted, linestyle="", marker="o", markersize=3, markeredgewidth=0, color=FIRST, alpha=0.6)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    return inline_svg(figure, f"scatter-{re.sub('[^A-Za-z0-9]', '-', name)}")
