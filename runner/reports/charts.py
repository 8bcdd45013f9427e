"""How pictures of a page are drawn: as SVG that takes its colours and its font from the page."""

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
