"""Kill runs at random moments, resume them, and compare what is left with the run that was never killed."""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle, product
from pathlib import Path
from typing import Any

import keras

from runner.records.digests import weights_digest
from runner.records.metrics import TIMING
from runner.records.run_folder import read_run

LOADERS = ("sequence", "in_memory", "generator", "directory_flow")
BACKENDS = ("tensorflow", "jax")
QUICK = ("train.epochs=6", "model.filters=[8]", "model.dense_units=16", "train.checkpoint_every.steps=7")
CODE = """
import sys, runner
from pathlib import Path
runner.run(runner.compose(sys.argv[2:]), folder=Path(sys.argv[1]))
"""
MOST_SECONDS = 1.5
"""How long after the first state of a process it is killed, at most; the training takes about as long."""


def start(folder: Path, *overrides: str) -> subprocess.Popen[bytes]:
    """A run in its own process, on the digits next to its folder."""
    command = [sys.executable, "-c", CODE, str(folder.resolve()), *overrides]
    return subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.DEVNULL)


def outcome(folder: Path) -> dict[str, Any]:
    """All that must be equal."""
    document = json.loads((folder / "run.json").read_text())
    with (folder / "metrics.csv").open(newline="") as lines:
        rows = [{name: cell for name, cell in row.items() if name not in TIMING} for row in csv.DictReader(lines)]
    best = keras.saving.load_model(folder / "checkpoints" / "best.keras", compile=False)
    return {
        "status": document["status"],
        "digests": document["digests"],
        "steps": document["results"]["fit"]["steps"],
        "metrics": rows,
        "predictions": (folder / "predictions.csv").read_text(),
        "best": weights_digest((str(number), array) for number, array in enumerate(best.get_weights())),
    }


def kill_once(folder: Path, randomness: random.Random, *overrides: str) -> bool:
    """Start a run and kill it, at any moment from its first state on; False if it was done before."""
    begun = time.time()
    process = start(folder, *overrides)
    while process.poll() is None and not any(
        file.stat().st_mtime > begun for file in folder.glob("checkpoints/state-*.npz")
    ):
        time.sleep(0.005)
    time.sleep(randomness.uniform(0, MOST_SECONDS))
    process.kill()
    process.wait()
    return bool(read_run(folder)["status"] == "killed")


def main() -> None:
    """Print a line per run, and the number of kills and of differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    randomness, kills, differences = random.Random(arguments.seed), 0, 0
    with tempfile.TemporaryDirectory() as name:
        root, whole = Path(name), {}
        for backend in BACKENDS:
            (root / backend).mkdir()
            if start(root / backend, f"backend={backend}", *QUICK).wait():
                sys.exit(f"the run on {backend} failed")
            whole[backend] = outcome(root / backend)
        for number, (backend, loader) in enumerate(cycle(product(BACKENDS, LOADERS))):
            if kills >= arguments.kills:
                break
            folder, loaders = root / f"killed-{number}", cycle(LOADERS)
            folder.mkdir()
            words = (f"backend={backend}", f"loader={loader}", *QUICK)
            killed = 0
            while kill_once(folder, randomness, *words):
                killed += 1
                words = (f"resume={folder}", f"loader={next(loaders)}")
            found = outcome(folder)
            differing = [part for part, value in whole[backend].items() if found[part] != value]
            kills, differences = kills + killed, differences + bool(differing)
            print(f"{backend} {loader}: {killed} kills, {', '.join(differing) or 'nothing'} differs", flush=True)
            shutil.rmtree(folder)
    print(f"{kills} kills, {differences} differences")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
