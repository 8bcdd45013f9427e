"""The default run on JAX, where it is installed."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("jax")


def test_default_run_trains_on_jax(digits_root, tmp_path):
    command = [sys.executable, "-m", "runner", "backend=jax", f"data.root={digits_root}"]
    subprocess.run([*command, "train.epochs=2"], cwd=tmp_path, check=True, capture_output=True)
    document = json.loads((tmp_path / "outputs" / "latest" / "run.json").read_text())
    assert document["backend"] == "jax"
    assert document["versions"]["jax"]
    assert document["results"]["evaluate"]["accuracy"] > 0.7
