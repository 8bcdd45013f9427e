"""What a run used of its machine, drawn on the axis of its learning curves."""

import pytest

from runner.records.config_yaml import write_config
from runner.records.metrics import MetricsTable
from runner.records.run_folder import RunFolder
from runner.records.system_table import SystemTable
from runner.reports.system_charts import MOST_POINTS, gpu_note, system_charts


@pytest.fixture
def drawn(tmp_path):
    """Draws the charts of rows, after epochs that took so long; by title."""
    write_config(tmp_path, {"train": {"steps_per_epoch": 10}})

    def draw(rows, durations=()):
        metrics, table = MetricsTable(tmp_path), SystemTable(tmp_path)
        for epoch, seconds in enumerate(durations, 1):
            metrics.append(epoch, {"loss": 1.0, "seconds": seconds})
        for row in rows:
            table.append(row)
        table.close()
        return {chart.title: chart for chart in system_charts(RunFolder(tmp_path))}

    return draw


def row(epoch, epoch_seconds, step=0, **values):
    return {"seconds": 1, "epoch": epoch, "epoch_seconds": epoch_seconds, "step": step, "cpu_percent": 150, **values}


def test_rows_of_done_epochs_lie_by_their_time(drawn):
    rows = [row(1, 1), row(1, 4), row(2, 1), row(3, 2, step=25), row(3, 3, step=30)]
    chart = drawn(rows, durations=(4.0, 2.0))["processor, with workers"]
    (line,) = chart.plot.lines
    assert line.x == [0.25, 1, 1.5, pytest.approx(2 + 2 / 3, abs=1e-4), 3]
    assert chart.plot.times == [1, 4, 5, 8, 9]
    assert line.y == [1.5] * 5


def test_rows_after_training_are_not_drawn(drawn):
    rows = [row(1, 1), row(1, 3), row(1, 5, cpu_percent=0), row(1, 6, cpu_percent=900)]
    chart = drawn(rows, durations=(4.0,))["processor, with workers"]
    assert chart.plot.times == [1, 3, 4]
    assert chart.plot.lines[0].y == [1.5, 1.5, 0]


def test_time_without_a_step_is_no_line_up(drawn):
    rows = [row(1, seconds, step=step) for seconds, step in ((1, 4), (2, 8), (3, 10), (4, 10))]
    plot = drawn(rows)["processor, with workers"].plot
    assert (plot.lines[0].x, plot.times) == ([0.25, 0.5, 0.75, 1], [1, 2, 3, 4])
    assert plot.data()["fromZero"]


def test_line_of_zeros_is_left_out(drawn):
    counts = [{"received_bytes_per_second": 0, "read_bytes_per_second": 2e6 * step} for step in range(3)]
    rows = [row(1, step, step, **each) for step, each in enumerate(counts)]
    charts = drawn(rows)
    assert [line.name for line in charts["reads and network"].plot.lines] == ["from files"]
    assert charts["reads and network"].plot.lines[0].y == [0, 2, 4]
    assert "waiting for data" not in charts


def test_gpus_are_next_to_the_wait(drawn):
    gpu = {"gpu0_percent": 50, "gpu0_memory_bytes": 3e9}
    charts = drawn([row(1, step, step, wait_share=0.25, memory_bytes=1e9, **gpu) for step in (1, 2)])
    lines = {line.name: line.y[0] for line in charts["waiting for data and GPU"].plot.lines}
    assert lines == {"waiting": 25, "GPU": 50}
    assert {line.name: line.y[0] for line in charts["memory, with workers"].plot.lines} == {"run": 1, "GPU": 3}


@pytest.mark.parametrize(
    ("gpus", "packages", "is_said"),
    [(["H100"], {"keras": "3"}, True), (["H100"], {"nvidia-ml-py": "13"}, False), (None, {"keras": "3"}, False)],
)
def test_missing_package_for_gpus_is_said(gpus, packages, is_said):
    note = gpu_note({"machine": {"gpus": gpus}, "packages": packages})
    assert ("keras-runner[gpu]" in (note or "")) == is_said


def test_loss_within_epochs_is_for_few_epochs(drawn):
    rows = [row(1, step, step, loss=1 / step) for step in (1, 2)]
    assert drawn(rows)["loss of the epoch so far"].plot.lines[0].y == [1, 0.5]


def test_loss_within_many_epochs_is_not_drawn(drawn):
    assert "loss of the epoch so far" not in drawn(
        [row(9, step, 80 + step, loss=1) for step in (1, 2)], durations=[3] * 8
    )


def test_long_table_keeps_its_extremes(drawn):
    values = [100.0] * 3000
    values[1234], values[2345] = 700.0, 1.0
    rows = [row(1, second, step=second / 300, cpu_percent=value) for second, value in enumerate(values)]
    (line,) = drawn(rows)["processor, with workers"].plot.lines
    assert len(line.y) <= MOST_POINTS + 2
    assert (max(line.y), min(line.y)) == (7, 0.01)
    assert line.x == sorted(line.x)


def test_values_at_one_place_are_no_line(drawn):
    charts = drawn([row(1, 1), row(1, 2, step=10, loss=0.5)])
    assert "loss of the epoch so far" not in charts
    assert "processor, with workers" in charts


def test_table_of_one_row_has_no_chart(drawn):
    assert drawn([row(1, 1)]) == {}
