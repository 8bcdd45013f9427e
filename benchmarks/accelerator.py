"""Whether a ResNet-50 on one GPU waits for photographs, and what `distribute.devices=1` costs there.

python benchmarks/accelerator.py [--samples 7680] [--rounds 2]

JAX in mixed_bfloat16, 224×224 pixels; `--network` takes another model, such as that of `other_device.py`. Each way to
load runs in turn, in a process of its own; the first epoch compiles and is not counted. Processes share what JAX
compiles.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from photographs import make_photographs

BATCH = 128
NETWORK = ("model=application", "model.name=ResNet50", "train.precision=mixed_bfloat16", "backend=jax", "mode=fit")
DATA = ("data=directory", "data.target_size=[224,224]", "data.class_mode=sparse", "data.validation_split=0")
LOADER = (f"loader.workers={os.cpu_count()}",)
WAYS = {
    "in memory": ("loader=in_memory",),
    "photographs": (),
    "photographs, distribute.devices=1": ("distribute.devices=1",),
    "cache in memory": ("loader.cache=memory",),
    "photographs, deterministic=false": ("deterministic=false",),
}


def measure(root: Path, overrides: tuple[str, ...], network: tuple[str, ...], epochs: int) -> list[tuple[float, float]]:
    """Seconds of each epoch but the first, and the share of them that the model waited."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "runner", *network, *DATA, *overrides, f"data.root={root}"]
        command += [f"train.epochs={epochs}", f"loader.batch_size={BATCH}"]
        environment = {
            "JAX_COMPILATION_CACHE_DIR": str(Path(tempfile.gettempdir()) / "keras-runner-compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        }
        result = subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment)
        if result.returncode:
            sys.exit(result.stdout + result.stderr)
        (file,) = Path(place).glob("outputs/runs/*-*/metrics.csv")
        with file.open(newline="") as lines:
            return [(float(row["seconds"]), float(row["wait_share"])) for row in csv.DictReader(lines)][1:]


def main() -> None:
    """Measure the ways in turn, and print a row for each as soon as its last round is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60 * BATCH, help="photographs to read")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of a run, the first of which is not counted")
    parser.add_argument("--rounds", type=int, default=2, help="times each way is measured")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "keras-runner-photographs")
    parser.add_argument("--network", nargs="*", default=NETWORK, help="words in place of ResNet-50's")
    arguments = parser.parse_args()
    make_photographs(arguments.data, arguments.samples)
    steps = arguments.samples // BATCH
    epochs: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for number in range(arguments.rounds):
        for way, words in WAYS.items():
            found = measure(arguments.data, (*LOADER, *words), tuple(arguments.network), arguments.epochs)
            epochs[way] += found
            print(f"round {number + 1}, {way}: {found}", file=sys.stderr, flush=True)
    print("| | images/s | ms a step | spread | ratio | waited |\n|---|---|---|---|---|---|")
    floor = statistics.median(seconds for seconds, _ in epochs["in memory"])
    for way, measured in epochs.items():
        seconds = [one for one, _ in measured]
        middle = statistics.median(seconds)
        waits = [share for _, share in measured]
        print(
            f"| {way} | {steps * BATCH / middle:,.0f} | {1000 * middle / steps:.1f} "
            f"| {1000 * min(seconds) / steps:.1f}–{1000 * max(seconds) / steps:.1f} | {floor / middle:.3f} "
            f"| {statistics.median(waits):.2%}, at most {max(waits):.2%} |"
        )


if __name__ == "__main__":
    main()
