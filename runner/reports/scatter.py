"""Predicted over true values: every sample is a point."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup

from runner.reports.charts import DASHED, FIRST, MUTED, inline_svg, new_axes


def scatter(name: str, truth: Sequence[float], predicted: Sequence[float]) -> Markup:
    """Predicted over true values, with the line on which they are equal."""
    figure, axes = new_axes()
    low, high = min(*truth, *predicted), max(*truth, *predicted)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.plot(truth, predicted, linestyle="", marker="o", markersize=3, markeredgewidth=0, color=FIRST, alpha=0.6)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    return inline_svg(figure, f"scatter-{re.sub('[^A-Za-z0-9]', '-', name)}")
