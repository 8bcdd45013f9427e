"""Curves over the epochs, as SVG that takes its colours from the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, int | float | None]

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
LINES: tuple[dict[str, Any], ...] = (
    {"color": FIRST, "linestyle": "-", "marker": "o"},
    {"color": SECOND, "linestyle": (0, (4, 2.5)), "marker": "s"},
)
"""Training, then validation: told apart by dash and marker as well as by colour."""

MARKED = 30
"""Epochs up to which every one has a marker."""

OTHERS = ("learning_rate", "images_per_second", "wait_share")
TITLES = {"learning_rate": "learning rate", "images_per_second": "images per second", "wait_share": "share of waiting"}
NOT_DRAWN = ("epoch", "seconds", "samples_seen")


@dataclass(frozen=True)
class Panel:
    """One chart: its title, its columns of metrics.csv, the drawing, and the drawing in words."""

    title: str
    columns: tuple[str, ...]
    svg: Markup
    words: str


def learning_curves(rows: Sequence[Row]) -> list[Panel]:
    """A panel for the loss and for each metric, training and validation together; then rate, speed and waiting."""
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in NOT_DRAWN))
    bases = [name for name in columns if name not in OTHERS and name.removeprefix("val_") == name]
    groups = [tuple(name for name in (base, f"val_{base}") if name in columns) for base in bases]
    groups += [(name,) for name in OTHERS if name in columns]
    epochs = [row["epoch"] or 0 for row in rows]
    values = {name: [row.get(name) for row in rows] for name in columns}
    return [_panel(number, group, epochs, values) for number, group in enumerate(groups)]


def scatter(name: str, truth: Sequence[float], predicted: Sequence[float]) -> Markup:
    """Predicted over true values, with the line on which they are equal."""
    figure, axes = _axes()
    low, high = min(*truth, *predicted), max(*truth, *predicted)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.8, linestyle=(0, (4, 2.5)))
    axes.plot(truth, predicted, linestyle="", marker="o", markersize=3, markeredgewidth=0, color=FIRST, alpha=0.6)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    return inline_svg(figure, f"scatter-{re.sub('[^A-Za-z0-9]', '-', name)}")


def _panel(number: int, group: tuple[str, ...], epochs: Sequence[float], values: dict[str, list[Any]]) -> Panel:
    from matplotlib.ticker import MaxNLocator

    figure, axes = _axes()
    for column, line in zip(group, LINES, strict=False):
        known = [(epoch, value) for epoch, value in zip(epochs, values[column], strict=True) if value is not None]
        marker = line["marker"] if len(known) <= MARKED else ""
        axes.plot(*zip(*known, strict=True) if known else ((), ()), **{**line, "marker": marker}, markersize=4)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.margins(x=0.03, y=0.08)
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


def _axes() -> tuple[Figure, Axes]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(3.6, 2.3), layout="constrained")
        return figure, figure.subplots()


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
