"""A store of a few runs, written by the very writers runs use."""

import json

import pytest

from runner.records.config_yaml import write_config
from runner.records.metrics import MetricsTable
from runner.records.record import RunRecord


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "outputs"
    (root / "runs").mkdir(parents=True)
    return root


@pytest.fixture
def make(root):
    """Writes a run as the runner does; `accuracy` is None for a run without evaluation.

    `more` are keys of its configuration; `data` was chosen as data=mine.
    """

    def write(name, *, loader="sequence", seed=0, losses=(0.5, 0.2, 0.3), accuracy=0.9, status="completed", more=None):
        folder = root / ("sweeps" if "/" in name else "runs") / name
        folder.mkdir(parents=True)
        train = {"epochs": len(losses), "optimizer": {"name": "adam"}}
        config = {"seed": seed, "loader": {"kind": loader, "workers": 2}, "train": train, "split": None}
        write_config(folder, config | (more or {}))
        chosen = [f"loader={loader}", *(["data=mine"] if "data" in (more or {}) else [])]
        record = RunRecord.open(folder, backend="jax", overrides=chosen, loader={"kind": loader})
        table = MetricsTable(folder)
        for epoch, loss in enumerate(losses, start=1):
            table.append(epoch, {"loss": loss, "val_loss": loss + 0.1, "seconds": epoch})
        if accuracy is not None:
            record.update(results={"evaluate": {"split": "test", "accuracy": accuracy, "loss": 1 - accuracy}})
        record.update(digests={"weights": f"{seed:064x}"})
        record.close("completed" if status == "killed" else status, ValueError("no") if status == "failed" else None)
        if status == "killed":
            document = record.document | {"status": "running", "finished": None}
            document["process"]["boot_id"] = "another"
            (folder / "run.json").write_text(json.dumps(document))
        return folder

    return write


@pytest.fixture
def store(make, root):
    """Three runs, a sweep of two jobs, and what kills leave behind."""
    make("2026-01-01_00-00-00_aaaaaa")
    make("2026-01-02_00-00-00_bbbbbb", loader="generator", losses=(0.9, 0.4), accuracy=0.95)
    make("2026-01-03_00-00-00_cccccc/0", seed=1)
    make("2026-01-03_00-00-00_cccccc/10", seed=2, accuracy=0.8)
    make("2026-01-04_00-00-00_dddddd", accuracy=None, status="failed")
    make("2026-01-05_00-00-00_eeeeee", accuracy=None, status="killed", losses=(0.1,))
    (root / "runs" / "2026-01-06_00-00-00_ffffff").mkdir()
    damaged = root / "runs" / "2026-01-07_00-00-00_abcdef"
    damaged.mkdir()
    (damaged / "run.json").write_text('{"status": "runn')
    (damaged / "config.yaml").write_text("a: [")
    (damaged / "metrics.csv").write_text("epoch,loss\n1,x\n")
    return root
