"""The charts of a page: each by itself, its labels in view."""

import pytest

from runner.reports.charts import PAD_INCHES, learning_curves, make_room, new_axes


def drawn(rows, title):
    """The drawing of one chart, without its number on the page."""
    number, chart = next((number, chart) for number, chart in enumerate(learning_curves(rows)) if chart.title == title)
    return chart.svg.replace(f"panel-{number}-", "")


def rows_of(**columns):
    return [
        {"epoch": epoch, **dict(zip(columns, row, strict=True))} for epoch, row in enumerate(zip(*columns.values()), 1)
    ]


@pytest.mark.parametrize(("title", "values"), [("accuracy", (0.1, 0.2)), ("accuracy", (None, None))])
def test_chart_is_the_same_after_others(title, values, drawn_again):
    alone, after = rows_of(accuracy=values), rows_of(loss=(3e9, 1e9), val_loss=(-1, -2), accuracy=values)
    expected = drawn(alone, title)
    assert drawn(after, title) == expected
    assert expected.count("<text") > 4  # its ticks


@pytest.mark.parametrize("values", [(0, 1), (1e9, 1e9 + 1), (1e-30, 2e-30), (-123456, 123456)])
def test_labels_fill_the_chart_and_no_more(values):
    figure, axes = new_axes()
    axes.plot(values, values)
    axes.set_xlabel("below")
    axes.set_ylabel("on the left")
    make_room(figure, axes)
    pad, (width, height) = PAD_INCHES * figure.dpi, figure.bbox.size
    assert axes.get_tightbbox().extents == pytest.approx([pad, pad, width - pad, height - pad], abs=pad)
