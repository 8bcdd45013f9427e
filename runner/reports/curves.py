"""How a run learnt: the columns of its metrics over its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.reports.charts import DASHED, FIRST, SECOND, Key, Panel, draw_line, inline_svg, lay_epochs, legend, new_axes

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
