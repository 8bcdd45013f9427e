"""The table of epochs is whole after every epoch."""

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import RunnerError
from runner.records.metrics import MetricsTable, read_metrics


def test_metrics_have_one_row_per_epoch(tmp_path):
    table = MetricsTable(tmp_path)
    table.append(1, {"loss": 0.5, "accuracy": 0.25})
    table.append(2, {"accuracy": 1.0, "loss": 0.125})
    assert table.path.read_text() == "epoch,loss,accuracy\n1,0.5,0.25\n2,0.125,1.0\n"


def test_missing_metrics_are_blank(tmp_path):
    table = MetricsTable(tmp_path)
    table.append(1, {"loss": 0.5, "seconds": 3})
    table.append(2, {"loss": 0.25, "val_loss": 1.5})
    table.append(3, {"loss": None, "seconds": 4})
    assert read_metrics(tmp_path) == [
        {"epoch": 1, "loss": 0.5, "seconds": 3, "val_loss": None},
        {"epoch": 2, "loss": 0.25, "seconds": None, "val_loss": 1.5},
        {"epoch": 3, "loss": None, "seconds": 4, "val_loss": None},
    ]


@settings(deadline=None)
@given(st.lists(st.floats() | st.integers(), min_size=1, max_size=5))
def test_metrics_give_back_the_same_numbers(values):
    row = {f"metric, {n}\r\n": value for n, value in enumerate(values)}
    with tempfile.TemporaryDirectory() as folder:
        MetricsTable(Path(folder)).append(1, row)
        [found] = read_metrics(Path(folder))
    np.testing.assert_equal(found, {"epoch": 1, **row})
    assert [type(value) for value in list(found.values())[1:]] == [type(v) for v in values]


def test_metrics_take_numpy_scalars(tmp_path):
    MetricsTable(tmp_path).append(1, {"loss": np.float32(0.1), "samples_seen": np.int64(5)})
    [row] = read_metrics(tmp_path)
    assert row == {"epoch": 1, "loss": float(np.float32(0.1)), "samples_seen": 5}


def test_metrics_keep_a_loss_that_is_no_number(tmp_path):
    MetricsTable(tmp_path).append(1, {"loss": math.nan, "val_loss": -math.inf})
    [row] = read_metrics(tmp_path)
    np.testing.assert_equal(row, {"epoch": 1, "loss": math.nan, "val_loss": -math.inf})


def test_run_without_epochs_has_no_rows(tmp_path):
    assert read_metrics(tmp_path) == []


def test_metrics_are_not_overwritten(tmp_path):
    MetricsTable(tmp_path).append(1, {"loss": 0.5})
    with pytest.raises(RunnerError, match=r"metrics\.csv already exists and is not overwritten"):
        MetricsTable(tmp_path).append(1, {"loss": 0.25})


@pytest.mark.parametrize("rows", ["epoch,loss\n1\n", "epoch,loss\n1,low\n"])
def test_reading_metrics_names_a_damaged_file(tmp_path, rows):
    (tmp_path / "metrics.csv").write_text(rows)
    with pytest.raises(RunnerError, match=r"metrics\.csv is not a table of metrics: "):
        read_metrics(tmp_path)


def test_metrics_are_whole_after_a_kill(tmp_path):
    code = (
        "import itertools, pathlib; from runner.records.metrics import MetricsTable\n"
        f"table = MetricsTable(pathlib.Path({str(tmp_path)!r}))\n"
        "for epoch in itertools.count(1): table.append(epoch, {'loss': 1 / epoch, 'x': epoch})\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        while len(read_metrics(tmp_path)) < 20 and child.poll() is None:
            time.sleep(0.01)
        child.kill()
    rows = read_metrics(tmp_path)
    assert len(rows) >= 20
    assert rows == [{"epoch": e, "loss": 1 / e, "x": e} for e in range(1, len(rows) + 1)]
