"""A job of a sweep whose ranks are processes as users have them; one of them fails."""

import os
import shutil
import textwrap
from pathlib import Path

import pytest

import runner
from runner.commands.prepare_sweep import prepare_sweep
from runner.commands.sweep import run_sweep
from tests.support.run_files import read_document, read_rows

pytest.importorskip("jax")

MODEL = """
    def small(input_shape, num_classes):
        import keras

        layers = keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")
        return keras.Sequential([keras.Input(input_shape), *layers])
"""
QUICK = ["backend=jax", "mode=fit", "loader.batch_size=8", "loader.workers=1", "data.limit=16"]


def test_bad_sample_of_a_rank_fails_its_job(tmp_path, digits_root, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{tmp_path}")
    Path("small_model.py").write_text(textwrap.dedent(MODEL))
    shutil.copytree(digits_root, "digits")
    with runner.build_loader(runner.compose([*QUICK, "data.root=digits"])) as loader:
        torn = loader.batch(0, 0).ids[-1]  # of rank 1
    os.truncate(Path("digits", torn), 40)
    keys = [*QUICK, "data.root=digits", "distribute.processes=2", "model=custom", "model.target=small_model.small"]
    overrides = [*keys, "extensions=[small_model]", "seed=0"]
    assert run_sweep(prepare_sweep(overrides), ["-m", *overrides]) == 1
    (sweep,) = Path("outputs/sweeps").iterdir()
    document, rows = read_document(sweep / "0"), read_rows(sweep / "sweep.csv")
    assert document["status"] == rows[0]["status"] == "failed"
    assert document["error"]["message"].startswith(f"rank 1: digits/{torn}: ")
    assert f"digits/{torn}: " in rows[0]["error"]
    printed = (sweep / "0" / "output.log").read_text()
    assert f"\nrank 1:\nerror: digits/{torn}: " in printed and printed.count("error: ") == 1
    assert sorted(path.name for path in (sweep / "0" / "ranks").glob("*.*")) == ["0.log", "1.log"]
