"""How soon `model=unet` finds bright discs in noise, and the CPU time that takes, on each backend.

200 images of 48×48 with one to three discs, batches of 8, Adam at 0.001, depth 2, 8 filters, six epochs. Fails if the
IoU of the discs in 64 other images is below 0.9.

python benchmarks/discs.py [--backends tensorflow jax]
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENOUGH = 0.9
RUN = """
import sys
from pathlib import Path

from runner import compose
from runner.modes.run import run
from tests.support.discs import overrides

model = ["model=unet", "model.depth=2", "model.filters=8", "train.epochs=6", "train.learning_rate=0.001"]
data = overrides(200, 64, split="validation", size=48)
run(compose([f"backend={sys.argv[1]}", *data, *model]), folder=Path(sys.argv[2]))
"""


def main() -> None:
    """Train on each backend, in a process of its own, and print what the run recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax"])
    found = {}
    for backend in parser.parse_args().backends:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, "-c", RUN, backend, folder], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
            )
            results = json.loads(Path(folder, "run.json").read_text())["results"]
            with Path(folder, "metrics.csv").open(newline="") as file:
                epochs = [float(row["val_mean_iou"]) for row in csv.DictReader(file)]
        found[backend] = results["evaluate"]["classes"]["disc"]["iou"]
        by_epoch = " ".join(f"{value:.3f}" for value in epochs)
        seconds = results["fit"]["cpu_seconds"]
        print(f"{backend:12} IoU of discs {found[backend]:.3f}  mean IoU by epoch {by_epoch}  fit {seconds:.0f} s CPU")
    if min(found.values()) < ENOUGH:
        sys.exit(f"the discs must have an IoU of at least {ENOUGH}")


if __name__ == "__main__":
    main()
