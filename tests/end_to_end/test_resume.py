"""`resume`: a run that was killed, or is to train on, in its own folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from runner import compose
from runner.errors import ConfigurationError, DataError
from runner.modes.run import run
from runner.records.run_folder import read_run
from tests.support.run_files import outcome, read_document, untimed_metrics

pytestmark = pytest.mark.usefixtures("empty_pages")  # no test here looks at one

QUICK = ["train.epochs=3", "loader.workers=2", "loader.batch_size=64", "model=mlp"]
QUICK += ["model.hidden_units=[8]", "model.dropout=0.3", "data.augment.mixup=0.4"]


@pytest.fixture(scope="module")
def configured(digits_root, tmp_path_factory):
    """Settings of short runs, and where they lie."""
    root = tmp_path_factory.mktemp("runs")

    def start(name, *overrides):
        folder = root / name
        folder.mkdir()
        return run(compose([f"data.root={digits_root}", *QUICK, *overrides]), folder=folder)

    start.root = root
    return start


@pytest.fixture(scope="module")
def whole(configured):
    """The run that was never killed."""
    return configured("whole").path


CODE = "import pathlib, runner, sys; runner.run(runner.compose(sys.argv[2:]), folder=pathlib.Path(sys.argv[1]))"


@pytest.fixture(scope="module")
def killed(configured, digits_root):
    """A run that was killed after its first state, in the middle of its first epoch."""
    folder = configured.root / "killed"
    folder.mkdir()
    command = [sys.executable, "-c", CODE, folder, f"data.root={digits_root}", *QUICK, "train.checkpoint_every.steps=5"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not list(folder.glob("checkpoints/state-*.npz")):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    return folder


def test_killed_run_ends_like_uninterrupted_one(killed, whole, tmp_path):
    assert read_run(killed)["status"] == "killed"
    folder = shutil.copytree(killed, tmp_path / "killed")
    overrides = [f"resume={folder}", "loader=in_memory", "loader.timeout_seconds=77"]
    run(compose(overrides))
    assert outcome(folder) == outcome(whole)
    document = read_run(folder)
    before = read_run(killed)["changed"]
    assert before.pop("loader.workers") == 2  # of the loader that was left
    assert document["changed"] == before | {"loader.timeout_seconds": 77}
    assert [again["overrides"] for again in document["resumed"]] == [overrides]
    assert document["process"]["pid"] == os.getpid()


def test_run_killed_before_first_state_restarts(killed, whole, tmp_path, digits_root, capsys):
    folder = shutil.copytree(killed, tmp_path / "early")
    for state in folder.glob("checkpoints/state-*.npz"):
        state.unlink()
    config = compose([f"data.root={digits_root}", *QUICK])
    run(config.model_copy(update={"resume": folder}))
    assert "from the beginning: the run has saved no state" in capsys.readouterr().out
    assert outcome(folder) == outcome(whole)


def test_completed_run_is_not_resumed(configured, whole):
    with pytest.raises(
        ConfigurationError, match="is completed; to train further, give more than its 3 epochs: train.epochs=6"
    ):
        run(compose([f"resume={whole}"]))


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("loader.batch_size=8", "loader.batch_size changed from 64 to 8"),
        ("loader.order=blocks", "loader.order changed from random to blocks"),
        ("seed=3", "seed changed from 0 to 3"),
        ("train.optimizer.beta_1=0.5", "train.optimizer.beta_1 changed from 0.9 to 0.5"),
        ("data.validation_split=0.3", "data.validation_split changed from"),
    ],
)
def test_changed_configuration_is_refused(whole, override, difference):
    with pytest.raises(ConfigurationError, match=difference):
        run(compose([f"resume={whole}", "train.epochs=4", override]))
    assert read_run(whole)["status"] == "completed"


def test_changed_packages_and_code_are_refused(configured, whole, tmp_path):
    document = read_document(whole)
    changed = document | {
        "versions": document["versions"] | {"numpy": "1.0"},
        "git": {"commit": "f" * 40, "dirty": True},
    }
    (whole / "run.json").write_text(json.dumps(changed))
    try:
        with pytest.raises(ConfigurationError) as refused:
            run(compose([f"resume={whole}", "train.epochs=4"]))
    finally:
        (whole / "run.json").write_text(json.dumps(document))
    text = str(refused.value)
    assert "changed from version 1.0 to version " in text
    assert "code changed from commit ffffffffffff with changes" in text
    assert "resume_inexact=true resumes anyway" in text


def state_of(folder):
    """The bytes and the modification time of every file, and the folders."""
    paths = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))}
    return {name: path.is_file() and (path.read_bytes(), path.stat().st_mtime_ns) for name, path in paths.items()}


REFUSED = [
    (["train.epochs=2"], ConfigurationError, "train.epochs must be at least 3, as .* has trained in 3 epochs, got 2"),
    (["train.epochs=4", "resume_inexact=true", "model.hidden_units=[9]"], ConfigurationError, "the same model and opt"),
    (["train.epochs=4", "data.root={other}"], DataError, "had other file names, sizes or modification times"),
    (["train.epochs=4", "resume_inexact=true", "train.monitor=x"], ConfigurationError, "train.monitor must be auto or"),
]


@pytest.mark.parametrize(("overrides", "error", "message"), REFUSED, ids=["epochs", "model", "data", "monitor"])
def test_refused_resume_changes_no_file(whole, tmp_path, digits_root, overrides, error, message):
    folder = shutil.copytree(whole, tmp_path / "whole")
    if "{other}" in overrides[-1]:
        other = shutil.copytree(digits_root, tmp_path / "digits")
        os.utime(next(other.glob("*/*.png")), (0, 0))
        overrides = [*overrides[:-1], f"data.root={other}"]
    shutil.rmtree(folder / "contents")  # as of a run that was killed before it had read all
    (folder / "bad_samples.csv").write_text("split,id,path,reason\r\ntrain,1.png,/1.p")
    document = read_document(folder) | {"status": "failed"}  # a completed run is refused for its epochs at once
    (folder / "run.json").write_text(json.dumps(document))
    before = state_of(folder)
    with pytest.raises(error, match=message):
        run(compose([f"resume={folder}", *overrides]))
    assert state_of(folder) == before


def test_extension_that_was_killed_is_kept(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "whole")
    document = read_document(folder) | {"status": "failed", "resumed": [{"epochs": 5}]}
    (folder / "run.json").write_text(json.dumps(document))
    assert compose([f"resume={folder}"]).train.epochs == 5


def test_run_of_another_host_is_taken_over(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "whole")
    process = {"host": "far", "pid": 7, "heartbeat_seconds": 10}
    (folder / "run.json").write_text(json.dumps(read_document(folder) | {"status": "running", "process": process}))
    words = [f"resume={folder}", "train.epochs=4"]
    with pytest.raises(ConfigurationError, match="add resume_takeover=true; its last heartbeat was . s ago"):
        compose(words)
    assert compose([*words, "resume_takeover=true"]).resume == folder
    os.utime(folder / "run.json", (0, 0))
    assert compose(words).resume == folder


def test_changed_schedule_length_is_refused(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "schedule")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["train"]["learning_rate"] = {"name": "cosine_decay", "initial_learning_rate": 0.01}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigurationError, match=r"train.epochs is 4, and was 3: the learning rate would decay"):
        run(compose([f"resume={folder}", "train.epochs=4"]))


def test_changed_data_needs_inexact_resume(whole, digits_root, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "other")
    steps = read_document(whole)["results"]["fit"]["steps"]
    other = tmp_path / "digits"
    for digit in "01":
        (other / digit).mkdir(parents=True)
        for file in sorted((digits_root / digit).iterdir())[:9]:
            (other / digit / file.name).write_bytes(file.read_bytes())
    for digit in "23456789":
        (other / digit).mkdir()
        (other / digit / "0.png").write_bytes(next((digits_root / digit).iterdir()).read_bytes())
    overrides = [f"resume={folder}", "train.epochs=4", f"data.root={other}"]
    with pytest.raises(DataError, match="had other file names, sizes or modification times"):
        run(compose(overrides))
    record = run(compose([*overrides, "resume_inexact=true"]))
    assert record.document["status"] == "completed"
    assert [again["inexact"] for again in record.document["resumed"]] == [True]  # a refusal leaves no trace
    assert [row["epoch"] for row in untimed_metrics(folder)] == ["1", "2", "3", "4"]  # the last one of one step
    assert record.document["results"]["fit"]["epochs"] == 4
    assert record.document["results"]["fit"]["steps"] == steps + 1
    assert len(record.document["digests"]["weights_per_epoch"]) == 4


def test_inexact_needs_resume():
    with pytest.raises(ConfigurationError, match="resume_inexact must go with resume, got no resume"):
        compose(["resume_inexact=true"])


def test_running_run_is_not_resumed(whole):
    document = read_document(whole)
    (whole / "run.json").write_text(json.dumps(document | {"status": "running", "process": {"host": "far", "pid": 7}}))
    try:
        with pytest.raises(ConfigurationError, match="which is still running on far as process 7; stop that first"):
            compose([f"resume={whole}", "train.epochs=4"])
    finally:
        (whole / "run.json").write_text(json.dumps(document))


def test_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"resume must be the folder of a run, got .* which has no config.yaml"
    ):
        compose([f"resume={tmp_path}"])


def test_resume_and_from_run_do_not_go_together(whole):
    with pytest.raises(ConfigurationError, match="from_run and resume must not go together"):
        compose([f"from_run={whole}", f"resume={whole}"])
