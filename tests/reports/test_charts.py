"""Learning curves: what is drawn, folded and marked, and where."""

import math
import re

import pytest

from runner.records.columns import Objective
from runner.reports.axes import log_axis, names_axis, setting_axis, value_axis, whole_axis
from runner.reports.charts import MAX_EPOCHS, learning_curves, scatters

LOSS = Objective("val_loss", "min")


def rows_of(**columns):
    return [
        {"epoch": epoch, **dict(zip(columns, row, strict=True))} for epoch, row in enumerate(zip(*columns.values()), 1)
    ]


def charts_of(rows, objective=None):
    return {chart.title: chart for chart in learning_curves(rows, objective).charts}


def test_line_passes_through_its_values():
    (chart,) = learning_curves(rows_of(loss=(4.0, 0.0, 2.0))).charts
    path = chart.svg.partition('class="line first" d="M')[2].partition('"')[0]
    (x1, y1), (x2, y2), (x3, y3) = (map(float, point.split()) for point in path.split("L"))
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert (y2 - y3, y2 - y1) == (pytest.approx(-(y1 - y3), abs=0.2), pytest.approx(2 * (y2 - y3), abs=0.2))
    assert y1 < y3 < y2  # the largest value is at the top


def test_data_are_the_values_of_the_table():
    rows = rows_of(loss=(2.123456, 1.5), val_loss=(3, 2), seconds=(10, 2.5))
    data = charts_of(rows, LOSS)["loss"].data
    assert [(line["name"], line["y"]) for line in data["lines"]] == [
        ("training", [2.12346, 1.5]), ("validation", [3, 2]),
    ]  # fmt: skip
    assert (data["lines"][0]["x"], data["times"], data["best"]) == ([1, 2], [10, 12.5], 2)


def test_missing_values_are_passed_over():
    rows = rows_of(loss=(1, 2, 3), val_loss=(None, 5, math.nan))
    data = charts_of(rows)["loss"].data
    assert data["lines"][1]["y"] == [None, 5, "nan"]
    assert charts_of(rows_of(loss=(math.nan, math.inf)))["loss"].plot.y.ticks[0][0] == 0


def test_lines_break_where_values_are_no_numbers():
    rows = rows_of(loss=(5, math.nan, 3, math.inf, 1), val_loss=(4, None, 2, None, 0))
    curves = learning_curves(rows)
    (chart,) = curves.charts
    first, second = chart.data["lines"]
    assert (first["y"], second["y"]) == ([5, "nan", 3, "inf", 1], [4, None, 2, None, 0])
    paths = re.findall(r'class="line \w+" d="(.*?)"', chart.svg)
    assert [path.count("M") for path in paths] == [3, 1]  # a missing value is passed over
    assert curves.no_numbers == ["loss in 2 epochs, first in epoch 2"]


def test_best_epoch_is_the_first_best():
    curves = learning_curves(rows_of(loss=(1, 2, 3), val_loss=(2, 1, 1)), LOSS)
    assert curves.best["epoch"] == 2
    assert curves.charts[0].svg.count("best-epoch") == 1
    assert learning_curves(rows_of(loss=(1, 2)), LOSS).best is None


def test_constant_columns_are_folded():
    curves = learning_curves(rows_of(loss=(2, 1), learning_rate=(0.1, 0.1), accuracy=(1, 1), val_accuracy=(1, 0)))
    assert [chart.title for chart in curves.charts] == ["loss", "accuracy"]
    assert curves.constant == [("learning_rate", 0.1)]


def test_one_epoch_has_figures_and_no_chart():
    curves = learning_curves(rows_of(loss=(2,), val_loss=(1,), wait_share=(0.5,)))
    assert curves.charts == []
    assert curves.constant == [("loss", 2), ("val_loss", 1), ("wait_share", 0.5)]


def test_long_runs_are_thinned_with_their_best():
    values = [5.0] * 3 * MAX_EPOCHS
    values[1], values[-2] = 0.5, 7
    curves = learning_curves(rows_of(loss=values, val_loss=values), LOSS)
    data = curves.charts[0].data["lines"][0]
    assert (curves.every, len(data["x"])) == (3, MAX_EPOCHS + 2)
    assert data["y"][data["x"].index(2)] == 0.5


def test_wait_is_drawn_as_a_percentage():
    data = charts_of(rows_of(wait_share=(0.25, 0.5)))["share of time waiting for data"].data
    assert (data["lines"][0]["y"], data["unit"]) == ([25, 50], "%")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0, 1], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.9, 3.1], ["0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5"]),
        ([3, 3], ["2.85", "2.90", "2.95", "3.00", "3.05", "3.10", "3.15"]),
        ([], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0, 2e9], ["0", "5e+08", "1e+09", "1.5e+09", "2e+09"]),
        ([0.95112, 0.95113], ["0.95112", "0.951122", "0.951124", "0.951126", "0.951128", "0.95113"]),
        ([-1500, 1500], ["-1,500", "-1,000", "-500", "0", "500", "1,000", "1,500"]),
    ],
)
def test_ticks_are_round_numbers(values, texts):
    axis = value_axis(values)
    assert [text for _, text in axis.ticks] == texts
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value in values)


def test_whole_axis_has_no_fractions():
    assert [text for _, text in whole_axis([1, 3]).ticks] == ["1", "2", "3"]
    assert [value for value, _ in whole_axis([1, 24]).ticks] == [5, 10, 15, 20]


def test_log_axis_spaces_decades_evenly():
    axis = log_axis([1e-5, 1e-1])
    places = [axis.place(value) for value, _ in axis.ticks]
    assert [text for _, text in axis.ticks] == ["1e-05", "0.0001", "0.001", "0.01", "0.1"]
    assert places[2] == pytest.approx(0.5)


def test_setting_axis_names_values_with_room():
    assert [text for _, text in setting_axis([32, 64, 128], logarithmic=True).ticks] == ["32", "64", "128"]
    assert len(setting_axis([1, 1.01, 8], logarithmic=False).ticks) > 3
    assert names_axis(["a", "b"]).place(0) == 0.25


def test_scatter_names_each_sample():
    chart, errors = scatters("area", [1, 2], [1.5, math.inf], ["a.png", "<b>"])
    points = chart.data["lines"][1]
    assert points["texts"][0] == "a.png: true 1, predicted value 1.5"
    assert (points["y"], errors.data["lines"][1]["y"]) == ([1.5, "inf"], [0.5, "inf"])
