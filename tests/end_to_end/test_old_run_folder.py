"""Run folders written before the modules moved: every command reads, resumes and repeats them.

`tests/fixtures/run_before_move` holds 40 images of 6×6 pixels in two class folders, and two runs of one
configuration on them: one that completed its 21 steps, and one that Ctrl-C stopped after step 11.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from runner import compose
from runner import report as report_command
from runner.errors import VerifyError
from runner.modes.run import run
from runner.runs import __main__ as runs_command

FIXTURE = Path(__file__).parents[1] / "fixtures" / "run_before_move"
WHOLE, STOPPED = "2026-11-26_15-13-37_daa8dd", "2026-11-26_15-14-30_c3b28c"
CHANGED = 1_700_000_000
"""When the images were last changed, in seconds: the time is part of the data's fingerprint."""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """A copy of the two runs, below the folder where commands are given."""
    root = tmp_path_factory.mktemp("before")
    shutil.copytree(FIXTURE / "photos", root / "photos")
    shutil.copytree(FIXTURE / "runs", root / "outputs" / "runs")
    for file in (root / "photos").rglob("*.png"):
        os.utime(file, (CHANGED, CHANGED))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        yield Path("outputs")


def document(folder):
    return json.loads((folder / "run.json").read_text())


def assert_near(folder, whole):
    """Weights differ by rounding: the old runs were made on another processor."""
    models = [keras.saving.load_model(place / "model.keras") for place in (folder, whole)]
    for now, before in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(now, before, rtol=1e-3, atol=1e-5)


def test_runs_reads_old_folders(outputs, capsys):
    assert runs_command.execute(["list", "columns=[status,val_loss]", "limit=2", "train.epochs=3", "sort=run"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        [WHOLE, "completed", "0.6721"],
        [STOPPED, "interrupted", "0.6721"],
    ]
    assert runs_command.execute(["show", WHOLE]) == 0
    assert "\nmodel     mlp\nloader    sequence\n" in capsys.readouterr().out
    assert runs_command.execute(["compare", WHOLE, STOPPED, "format=json"]) == 0
    assert [row["evaluate.loss"] for row in json.loads(capsys.readouterr().out)] == [1.0257906913757324, None]


@pytest.mark.parametrize("name", [WHOLE, STOPPED])
def test_report_draws_old_run(outputs, name):
    assert report_command.execute([name]) == 0
    assert name in (outputs / "runs" / name / "report.html").read_text()


def test_old_run_resumes(outputs):
    folder = outputs / "runs" / "resumed"
    shutil.copytree(outputs / "runs" / STOPPED, folder)
    # The code has changed since, and versions may have.
    resumed = run(compose([f"resume={folder}", "resume_inexact=true"])).document
    whole = document(outputs / "runs" / WHOLE)
    assert (resumed["status"], resumed["results"]["fit"]["steps"]) == ("completed", 21)
    assert resumed["digests"]["ids"] == whole["digests"]["ids"]
    assert resumed["digests"]["weights_per_epoch"][0] == whole["digests"]["weights_per_epoch"][0]
    assert_near(folder, outputs / "runs" / WHOLE)


def test_old_run_is_repeated_and_verified(outputs):
    folder = outputs / "runs" / "repeated"
    folder.mkdir()
    with contextlib.suppress(VerifyError):
        run(compose([f"rerun={outputs / 'runs' / WHOLE}", "verify=true"]), folder=folder)
    repeated, whole = document(folder), document(outputs / "runs" / WHOLE)
    assert repeated["verified"]["compared"][:3] == ["data (contents of 40 files)", "ids", "pixels"]
    assert not repeated["verified"]["differences"].keys() & {"data", "ids"}
    assert repeated["digests"]["ids"] == whole["digests"]["ids"]
    assert_near(folder, outputs / "runs" / WHOLE)


def test_old_model_predicts(outputs):
    folder = outputs / "runs" / "predicted"
    folder.mkdir()
    run(compose(["mode=predict", f"from_run={outputs / 'runs' / WHOLE}"]), folder=folder)
    before, now = ((place / "predictions.csv").read_text().splitlines() for place in (outputs / "runs" / WHOLE, folder))
    assert [row.split(",")[0] for row in now] == [row.split(",")[0] for row in before]
    assert len(now) == 4
