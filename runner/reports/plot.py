"""A plot: lines and points between two axes, as a still drawing (SVG) and as data for the script of the page.

The drawing takes its colours and its font from the page, so it suits light and dark mode, and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from runner.reports.axes import Axis, can_draw

WIDTH, HEIGHT = 560, 236
"""The size of a drawing; the page scales it, the text with it."""

TOP, RIGHT, BOTTOM = 10, 14, 24
"""The margins in the unit of the size; the left one depends on the numbers, a label below needs `LINE` more."""

LINE, LETTER = 15, 6.1
"""The height of a line of text, and the width of a letter."""

MAX_MARKED = 30
"""Points of a line up to which each has a mark."""

MARKS = {
    "circle": "m-2.7 0a2.7 2.7 0 1 0 5.4 0a2.7 2.7 0 1 0-5.4 0",
    "square": "m-2.4-2.4h4.8v4.8h-4.8z",
    "up": "m0-3.2l3 5.4h-6z",
    "down": "m0 3.2l3-5.4h-6z",
    "diamond": "m0-3.5l2.7 3.5l-2.7 3.5l-2.7-3.5z",
    "star": "m0-6l1.4 4.1h4.3l-3.5 2.6l1.3 4.1l-3.5-2.5l-3.5 2.5l1.3-4.1l-3.5-2.6h4.3z",
}


@dataclass(frozen=True)
class Style:
    """The look of a line, by its class in the style sheet, and its mark; lines differ in more than the colour."""

    name: str
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """A line through the points that have a value; with `only_marks`, the points alone. It breaks at NaN and infinity.

    `texts`: what each point says; `bars`: the ends of a bar through each.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    style: Style
    only_marks: bool = False
    texts: Sequence[str] = ()
    bars: Sequence[tuple[float, float]] = ()

    def points(self) -> list[tuple[float, float]]:
        """The points that can be drawn."""
        pairs = zip(self.x, self.y, strict=True)
        return [(x, y) for x, y in pairs if y is not None and can_draw(x) and can_draw(y)]

    def pieces(self) -> list[list[tuple[float, float]]]:
        """The points between values that are no numbers; a value that is missing is passed over."""
        pieces: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(self.x, self.y, strict=True):
            if y is not None and can_draw(y) and can_draw(x):
                pieces[-1].append((x, y))
            elif y is not None:
                pieces.append([])
        return [piece for piece in pieces if piece]


@dataclass(frozen=True)
class Plot:
    """Lines between two axes; `best`: the place on the horizontal axis to mark; `times`: seconds for each epoch.

    `starts`: the first epochs of later phases; a line before each shows where the phase begins. `from_zero`: the
    vertical axis begins at 0, also of a part of the plot.
    """

    x: Axis
    y: Axis
    lines: Sequence[Line]
    kind: str = "points"
    best: float | None = None
    times: Sequence[float] = field(default=())
    starts: Sequence[float] = ()
    from_zero: bool = False

    @property
    def svg(self) -> Markup:
        """The still drawing."""
        return _Drawing(self).svg()

    def data(self) -> dict[str, Any]:
        """What the script draws."""
        lines = [_line_data(line) for line in self.lines]
        axes = {"x": vars(self.x), "y": vars(self.y)}
        more = {"times": [*map(short, self.times)], "starts": [*self.starts], "fromZero": self.from_zero}
        return {"kind": self.kind, **axes, "lines": lines, "best": self.best, **more}


def _line_data(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "style": line.style.name,
        "mark": MARKS.get(line.style.mark, ""),
        "marksOnly": line.only_marks,
        "x": [short(x) for x in line.x],
        "y": [y if y is None else short(y) if can_draw(y) else f"{y:.4g}" for y in line.y],
        "texts": list(line.texts),
        "bars": [[*map(short, ends)] for ends in line.bars],
    }


def short(value: float) -> float:
    """The value with six significant digits, enough for any screen; whole numbers as they are."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def marks_path(points: Sequence[tuple[float, float]], mark: str) -> str:
    """One path that draws a mark at each place."""
    return "".join(f"M{x:.1f} {y:.1f}{MARKS[mark]}" for x, y in points)


def key_svg(style: Style, *, only_marks: bool = False) -> Markup:
    """A sample of a line for a legend."""
    line = "" if only_marks else f'<path class="line {style.name}" d="M1 6H27"/>'
    mark = f'<path class="mark {style.name}" d="{marks_path([(14, 6)], style.mark)}"/>' if style.mark else ""
    return Markup(f'<svg class="key" viewBox="0 0 28 12" aria-hidden="true">{line}{mark}</svg>')


class _Drawing:
    """The drawing of a plot, and where its values are."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        slot = (WIDTH - 60) / max(1, len(plot.x.ticks))
        longest = max((len(text) for _, text in plot.x.ticks), default=0)
        self._slanted = plot.kind != "curves" and longest * LETTER > slot
        below = (LINE if plot.x.label else 0) + (min(longest, 24) * LETTER * 0.5 if self._slanted else 0)
        self._left = 12 + LETTER * max((len(text) for _, text in plot.y.ticks), default=1)
        self._left += LINE if plot.y.label else 0
        self._bottom = HEIGHT - BOTTOM - below

    def svg(self) -> Markup:
        parts = [*self._axes(), *(part for line in self.plot.lines for part in self._line(line))]
        return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>')

    def _place(self, x: float, y: float) -> tuple[float, float]:
        right = WIDTH - RIGHT
        across, up = self.plot.x.place(x), self.plot.y.place(y)
        return self._left + across * (right - self._left), self._bottom - up * (self._bottom - TOP)

    def _axes(self) -> list[str]:
        x_axis, y_axis = self.plot.x, self.plot.y
        heights = [(self._place(x_axis.low, value)[1], text) for value, text in y_axis.ticks]
        grid = "".join(f"M{self._left:.1f} {height:.1f}H{WIDTH - RIGHT}" for height, _ in heights)
        parts = [f'<path class="ruled" d="{grid}"/>']
        parts += [_text(self._left - 6, height + 4, text, "end") for height, text in heights]
        for value, text in x_axis.ticks:
            across = self._place(value, y_axis.low)[0]
            turn = f' transform="rotate(-30 {across:.1f} {self._bottom + 14:.1f})"' if self._slanted else ""
            parts.append(_text(across, self._bottom + 16, text[:24], "end" if turn else "middle", turn))
        if x_axis.label:
            parts.append(_text((self._left + WIDTH - RIGHT) / 2, HEIGHT - 5, x_axis.label, "middle"))
        if y_axis.label:
            middle = (TOP + self._bottom) / 2
            parts.append(_text(12, middle, y_axis.label, "middle", f' transform="rotate(-90 12 {middle:.1f})"'))
        if self.plot.best is not None:
            across = self._place(self.plot.best, y_axis.low)[0]
            parts.append(f'<path class="best-epoch" d="M{across:.1f} {TOP}V{self._bottom:.1f}"/>')
        if self.plot.starts:
            places = [self._place(start - 0.5, y_axis.low)[0] for start in self.plot.starts]
            lines = "".join(f"M{across:.1f} {TOP}V{self._bottom:.1f}" for across in places)
            parts.append(f'<path class="phase-start" d="{lines}"/>')
        return parts

    def _line(self, line: Line) -> list[str]:
        places = [self._place(*point) for point in line.points()]
        parts = []
        if places and not line.only_marks:
            pieces = [[self._place(*point) for point in piece] for piece in line.pieces()]
            path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece) for piece in pieces)
            parts.append(f'<path class="line {line.style.name}" d="{path}"/>')
        for (x, _), bar in zip(line.points(), line.bars, strict=False):
            (across, low), (_, high) = (self._place(x, end) for end in bar)
            parts.append(f'<path class="line {line.style.name}" d="M{across:.1f} {low:.1f}V{high:.1f}"/>')
        if line.style.mark and (line.only_marks or len(places) <= MAX_MARKED):
            parts.append(f'<path class="mark {line.style.name}" d="{marks_path(places, line.style.mark)}"/>')
        return parts


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
