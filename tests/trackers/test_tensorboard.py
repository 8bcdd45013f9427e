"""Event files, read by TensorBoard's own reader."""

import subprocess
import sys
import time

import pytest

from runner.trackers.base import RunEnd, RunStart
from runner.trackers.tensorboard import EventFiles, TensorBoard

pytest.importorskip("tensorboardX")
accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(folder, tag):
    events = accumulator.EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_event_files_hold_epochs_and_results(tmp_path):
    tracker = EventFiles(None)
    assert tracker.begin(RunStart(tmp_path, {"train.epochs": 2})) == {"log_dir": str(tmp_path / "tensorboard")}
    tracker.epoch(1, {"loss": 0.5, "val_loss": None})
    tracker.epoch(2, {"loss": 0.25, "val_loss": 1.0})
    tracker.end(RunEnd("completed", {"evaluate.accuracy": 0.75}, ()))
    assert scalars(tmp_path / "tensorboard", "loss") == [(1, 0.5), (2, 0.25)]
    assert scalars(tmp_path / "tensorboard", "val_loss") == [(2, 1.0)]
    assert scalars(tmp_path / "tensorboard", "evaluate.accuracy") == [(2, 0.75)]


def test_parameters_are_text(tmp_path):
    tracker = EventFiles(None)
    tracker.begin(RunStart(tmp_path, {"train.epochs": 2}, tags={"git_commit": "abc"}))
    tracker.end(RunEnd("failed", {}, ()))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    [text] = events.Tensors("parameters/text_summary")[0].tensor_proto.string_val
    assert b"| `train.epochs` | 2 |" in text and b"| `git_commit` | abc |" in text
    [status] = events.Tensors("status/text_summary")[0].tensor_proto.string_val
    assert status == b"failed"


def test_resumed_run_replaces_repeated_epochs(tmp_path):
    first, again = EventFiles(None), EventFiles(tmp_path / "elsewhere")
    kept = first.begin(RunStart(tmp_path, {}))
    for epoch in (1, 2, 3):
        first.epoch(epoch, {"loss": 10.0 + epoch})
    first.end(RunEnd("interrupted", {}, ()))
    time.sleep(1.1)  # files are named by the second in which they start
    assert again.begin(RunStart(tmp_path, {}, kept=kept)) == kept
    for epoch in (3, 4):
        again.epoch(epoch, {"loss": 20.0 + epoch})
    again.end(RunEnd("completed", {}, ()))
    assert scalars(tmp_path / "tensorboard", "loss") == [(1, 11.0), (2, 12.0), (3, 23.0), (4, 24.0)]


@pytest.mark.parametrize(("run", "folder"), [("runs/a_b", "logs/a_b"), ("sweeps/s/12", "logs/s/12")])
def test_log_dir_has_a_folder_per_run(tmp_path, run, folder):
    tracker = TensorBoard(log_dir=tmp_path / "logs").build()
    assert tracker.begin(RunStart(tmp_path / run, {})) == {"log_dir": str(tmp_path / folder)}
    tracker.end(RunEnd("completed", {}, ()))


def test_writing_needs_no_tensorflow(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom runner.trackers.tensorboard import EventFiles\n"
        "from runner.trackers.base import RunStart, RunEnd\n"
        f"tracker = EventFiles(None); tracker.begin(RunStart(Path({str(tmp_path)!r}), {{}}))\n"
        "tracker.epoch(1, {'loss': 1.0}); tracker.end(RunEnd('completed', {}, ()))\nprint(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "keras"} & set(modules)
