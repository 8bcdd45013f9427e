"""Sweeps whose jobs are small scripts in place of the runner: their seed says what they do."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from runner.commands import sweep_folder
from runner.commands.prepare_sweep import prepare_sweep
from runner.commands.sweep import run_sweep
from runner.config.launch import write_hydra_files
from runner.sweeps import process, schedule
from tests.support.forked_process import ForkedProcess
from tests.support.run_store import make, root, store  # noqa: F401

JOB = """
import json, os, signal, sys, time
from pathlib import Path
import yaml
from runner.records import record as records
from runner.records.config_yaml import write_config
from runner.records.record import RunRecord
from runner.records.metrics import MetricsTable

for section in ("packages", "versions", "machine"):  # they take half the time of a job
    setattr(records, section, lambda *_: {})
records.git_state = lambda **_: None  # two processes of git
sweep, number = Path(sys.argv[1]), sys.argv[2]
folder = sweep / number
config = yaml.safe_load((sweep / "frozen" / number / "config.yaml").read_text())
seed = config["seed"] + config["data"]["split_seed"]  # a search has several seeds in a trial, and searches the other
print("this is seed", seed, "on", os.environ.get("CUDA_VISIBLE_DEVICES"))
if seed == 7:
    raise ZeroDivisionError("before the record")
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # no record is left open
if sys.argv[3:] == ["resume"]:
    (folder / "again").touch()
    document = json.loads((folder / "run.json").read_text())
    record = RunRecord.reopen(folder, document)
    record.begin()
else:
    write_config(folder, config)
    record = RunRecord.open(folder, backend="tensorflow")
def end(*_):
    record.close("interrupted")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
if seed == 8 and sys.argv[3:] != ["resume"]:
    os.kill(os.getpid(), signal.SIGKILL)
if seed == 9 and not Path("mended").exists():
    record.close("failed", ValueError("nine is no seed"))
    sys.exit(1)
if seed == 0:
    # A trial of several epochs: the first five learn, those after them do not, and wait to be given up.
    learns, table = int(number) < 5 or Path("mended").exists(), MetricsTable(folder)
    for epoch in range(1, config["train"]["epochs"] + 1):
        table.append(epoch, {"loss": 1.0, "val_loss": (1 if learns else 5) / epoch})
        if not learns:
            time.sleep(0.2 if epoch == 1 else 30)
    record.close("completed")
    sys.exit()
while seed == 10 and not Path("mended").exists():
    time.sleep(0.05)
MetricsTable(folder).append(1, {"loss": seed / 10, "val_loss": seed / 5, "images_per_second": 100.0})
record.update(digests={"ids": "same", "weights": f"of seed {seed}"})
record.update(results={"evaluate": {"accuracy": 1 - seed / 10, "split": "test"}})
record.close("completed")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory in which jobs are the script above, without the files that Hydra writes."""
    (tmp_path / "job.py").write_text(JOB)
    monkeypatch.setattr(process, "COMMAND", (sys.executable, str(tmp_path / "job.py")))
    monkeypatch.setattr(sweep_folder, "write_hydra_files", lambda job, folder: folder.mkdir())
    monkeypatch.setattr(schedule, "TICK_SECONDS", 0.02)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def forked(monkeypatch):
    """Jobs are copies of the tests' own process, which has imported what they need."""
    copied = SimpleNamespace(Popen=ForkedProcess, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(process, "subprocess", copied)


@pytest.fixture
def started(forked, monkeypatch):
    """Jobs start as processes of their own in this test, as they do for users."""
    monkeypatch.setattr(process, "subprocess", subprocess)


@pytest.fixture
def hydra_files(here, monkeypatch):
    """Hydra composes every job and writes its files, as for users: 0.2 s each."""
    monkeypatch.setattr(sweep_folder, "write_hydra_files", write_hydra_files)


@pytest.fixture
def sweep(here):
    """Runs a sweep; its exit code, and its folder."""

    def run(*overrides):
        code = run_sweep(prepare_sweep(overrides), ["-m", *overrides])
        folders = (here / "outputs/sweeps").iterdir()  # several sweeps may begin in one second
        return code, max(folders, key=lambda folder: folder.stat().st_mtime_ns)

    return run
