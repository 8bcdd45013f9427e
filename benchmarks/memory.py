"""Whether memory stays flat: what a training holds after 5,000 small batches, and after 50,000.

python benchmarks/memory.py [--backend tensorflow] [--steps 50000]

Batches of two of the embedded digits, by every strategy in turn, each in a process of its own; worker processes are
counted with it. What grows is `growth`; the rest is Python, the framework and its first few thousand steps.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

WARM_STEPS = 5000
STRATEGIES = {
    "generator": ["loader=generator"],
    "in_memory": ["loader=in_memory"],
    "sequence, 2 threads": ["loader=sequence", "loader.workers=2"],
    "sequence, 2 threads, augmented": ["loader=sequence", "loader.workers=2", "data.augment.rotation=0.05"],
    "sequence, 2 processes": ["loader=sequence", "loader.workers=2", "loader.use_multiprocessing=true"],
    "directory_flow, 2 threads": ["loader=directory_flow", "loader.workers=2"],
}


def measure(name: str, steps: int, root: Path) -> list[int]:
    """Bytes of memory in use after the warm-up and at the end of an epoch with this number of steps."""
    import keras
    import psutil

    import runner
    from runner.training.loop import fit
    from runner.training.setup import Training, TrainingObserver

    figures: list[int] = []

    class Memory(TrainingObserver):
        def on_step(self, step: int) -> None:
            if step + 1 in (WARM_STEPS, steps):
                process = psutil.Process()
                everyone = [process, *process.children(recursive=True)]
                figures.append(sum(one.memory_info().rss for one in everyone))

    settings = ["train.epochs=1", f"train.steps_per_epoch={steps}", "train.checkpoint_every.steps=10000"]
    data = [f"data.root={root / 'digits'}", "data.class_mode=sparse", "loader.batch_size=2"]
    config = runner.compose([*data, *settings, *STRATEGIES[name]])
    with runner.build_loader(config, split="train") as loader, tempfile.TemporaryDirectory() as folder:
        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
        model = keras.Sequential([keras.Input(loader.spec.shape), *layers])
        model.compile("sgd", "sparse_categorical_crossentropy")
        fit(Training(model, loader, None, config.train), checkpoints=Path(folder), observer=Memory())
    return figures


def main() -> None:
    """Measure every strategy in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="tensorflow", choices=["tensorflow", "jax", "torch"])
    parser.add_argument("--steps", type=int, default=50_000, help=f"batches, more than {WARM_STEPS:,}")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "keras-runner-memory")
    parser.add_argument("--only", choices=STRATEGIES, help="measure one strategy here, and print its bytes")
    arguments = parser.parse_args()
    if arguments.only:
        print(*measure(arguments.only, arguments.steps, arguments.data), flush=True)
        return
    environment = {**os.environ, "KERAS_BACKEND": arguments.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    print(f"| {arguments.backend} | MB after {WARM_STEPS:,} | after {arguments.steps:,} | growth |\n|---|---|---|---|")
    for name in STRATEGIES:
        command = [sys.executable, __file__, "--steps", str(arguments.steps), "--data", str(arguments.data)]
        result = subprocess.run([*command, "--only", name], capture_output=True, text=True, env=environment)
        if result.returncode:
            sys.exit(f"{name} failed:\n{result.stderr}")
        warm, last = (int(word) / 1e6 for word in result.stdout.split()[-2:])
        print(f"| {name} | {warm:.1f} | {last:.1f} | {last - warm:+.1f} |", flush=True)


if __name__ == "__main__":
    main()
