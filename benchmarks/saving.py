"""What writing states costs a training: seconds for each state, and their share at the default interval.

python benchmarks/saving.py [--backend tensorflow] [--steps 300] [--rounds 3]

A model of 25 million weights under Adam, about that of a ResNet-50, whose state has 305 MB, is trained on the embedded
digits with a state every ten seconds and without any but the last, alternately, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EVERY_SECONDS, DEFAULT_SECONDS = 10, 60
UNITS, WARM_STEPS = 5000, 20
INTERVALS = {"with states": str(EVERY_SECONDS), "without": "null"}


def train(interval: str, steps: int, root: Path) -> dict[str, Any]:
    """Seconds of the steps after the first few, and the number of states written meanwhile."""
    import keras

    import runner
    from runner.records.state import StateWriter
    from runner.training.loop import fit
    from runner.training.setup import Training, TrainingObserver

    moments, states = list[float](), list[float]()
    write = StateWriter.write

    class Moments(TrainingObserver):
        def on_step(self, step: int) -> None:
            moments.append(time.perf_counter())

    def noted(writer: StateWriter, state: Any) -> None:
        states.append(time.perf_counter())
        write(writer, state)

    StateWriter.write = noted  # type: ignore[method-assign]
    every = f"train.checkpoint_every={{seconds: {interval}}}"
    data = [f"data.root={root / 'digits'}", "data.class_mode=sparse", "loader=in_memory"]
    config = runner.compose([*data, "train.epochs=1", f"train.steps_per_epoch={steps}", every])
    with runner.build_loader(config, split="train") as loader, tempfile.TemporaryDirectory() as folder:
        dense = [keras.layers.Dense(UNITS, activation="relu") for _ in range(2)]
        output = keras.layers.Dense(10, activation="softmax")
        model = keras.Sequential([keras.Input(loader.spec.shape), keras.layers.Flatten(), *dense, output])
        model.compile("adam", "sparse_categorical_crossentropy")
        fit(Training(model, loader, None, config.train), checkpoints=Path(folder), observer=Moments())
    begin, end = moments[WARM_STEPS], moments[-1]
    return {"seconds": end - begin, "states": sum(begin < state < end for state in states)}


def main() -> None:
    """Train both ways alternately, and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="tensorflow", choices=["tensorflow", "jax", "torch"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    root = Path(tempfile.gettempdir()) / "keras-runner-saving"
    if arguments.one:
        sys.stdout.write(json.dumps(train(arguments.one, arguments.steps, root)))
        return
    per_state = []
    for number in range(arguments.rounds):
        sys.stderr.write(f"round {number + 1} of {arguments.rounds}\n")
        command = [sys.executable, __file__, "--steps", str(arguments.steps), "--one"]
        environment = {**os.environ, "KERAS_BACKEND": arguments.backend}
        seen = {
            name: json.loads(subprocess.run([*command, interval], env=environment, check=True, stdout=-1).stdout)
            for name, interval in INTERVALS.items()
        }
        took = seen["with states"]["seconds"] - seen["without"]["seconds"]
        per_state.append(took / seen["with states"]["states"])
        steps = arguments.steps - WARM_STEPS - 1
        print(*(f"{name}: {1000 * one['seconds'] / steps:.1f} ms a step" for name, one in seen.items()), sep=", ")
    median, low, high = statistics.median(per_state), min(per_state), max(per_state)
    print(f"a state costs {median:.2f} s ({low:.2f} to {high:.2f}): {median / DEFAULT_SECONDS:.1%} of the time at the")
    print(f"default of one every {DEFAULT_SECONDS} s")


if __name__ == "__main__":
    main()
