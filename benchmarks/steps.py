"""What handing a batch over costs: milliseconds a step of a model that does nothing, and between two epochs.

python benchmarks/steps.py [--backend tensorflow] [--rounds 3]

Batches of 32 × 224×224×3 uint8, ready made but for the last row, which copies each from memory in worker threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

STEPS, EPOCHS, WARM_STEPS = 50, 8, 5
SHAPE = (32, 224, 224, 3)


def tf_data_constant(x: Any, y: Any) -> Any:
    """tf.data that repeats one batch: the least TensorFlow asks for."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensors((x, y)).repeat(STEPS)


def pydataset(x: Any, y: Any, **workers: Any) -> Any:
    """Keras's `PyDataset` that gives one batch again and again."""
    import keras

    class Constant(keras.utils.PyDataset):
        def __len__(self) -> int:
            return STEPS

        def __getitem__(self, index: int) -> Any:
            return x, y

    return Constant(**workers)


def runner_constant(x: Any, y: Any) -> Any:
    """The runner's feed over a loader that has one batch."""
    from runner.batch import Batch
    from runner.feeds.dataset import LoaderDataset
    from runner.loaders.loader import Loader

    source, plan = _held(x, y)
    batch = Batch(x, y, None, tuple(source.ids[: len(x)]))

    class Constant(Loader):
        def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
            return (batch for _ in range(start, STEPS))

    return LoaderDataset(Constant(source, plan))


def runner_sequence(x: Any, y: Any, workers: int) -> Any:
    """The runner's `loader=sequence` over samples in memory."""
    from runner.feeds.dataset import LoaderDataset
    from runner.feeds.delivery import Delivery
    from runner.loaders.kinds import Sequence

    loader = Sequence(workers=workers).build(*_held(x, y))
    return LoaderDataset(Delivery(loader, end=STEPS * EPOCHS))


def _held(x: Any, y: Any) -> Any:
    import numpy as np

    from runner.data.arrays import ArraySamples
    from runner.data.labels import Head, Labels
    from runner.loaders.plan import Plan

    rows = np.concatenate([x] * STEPS)
    labels = Labels((Head("", "sparse", tuple("0123456789")),), (np.concatenate([y] * STEPS).astype(np.int64),))
    return ArraySamples(Path("none.npz"), "x", labels, rows), Plan(num_samples=len(rows), batch_size=len(x), seed=0)


def two_threads(feed: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """The feed with two worker threads."""
    return lambda x, y: feed(x, y, workers=2)


FEEDS: dict[str, Callable[[Any, Any], Any]] = {
    "tf.data of a constant": tf_data_constant,
    "Keras PyDataset, 1 worker": pydataset,
    "Keras PyDataset, 2 threads": two_threads(pydataset),
    "runner, one batch again and again": runner_constant,
    "runner sequence, 2 threads": two_threads(runner_sequence),
}


def measure(name: str) -> dict[str, float]:
    """Milliseconds a step and milliseconds between two epochs, medians of the epochs but the first."""
    import keras
    import numpy as np

    from runner.batch import ArraySpec
    from runner.loaders.reader import allocate

    x = allocate(ArraySpec(SHAPE[1:], np.dtype(np.uint8)), SHAPE[0])
    x[...] = np.random.default_rng(0).integers(0, 256, SHAPE)
    y = np.arange(SHAPE[0], dtype=np.float32) % 10

    class OnePixel(keras.layers.Layer):
        def call(self, pixels: Any) -> Any:
            return keras.ops.cast(pixels[:, 0, 0, :], "float32")

    inputs = keras.Input(SHAPE[1:], dtype="uint8")
    model = keras.Model(inputs, keras.layers.Dense(10)(OnePixel(autocast=False)(inputs)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    times: list[list[float]] = []

    class Times(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            times.append([])

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            times[-1].append(time.perf_counter())

    model.fit(FEEDS[name](x, y), epochs=EPOCHS, verbose=0, callbacks=[Times()], shuffle=False)
    steps = [(epoch[-1] - epoch[WARM_STEPS]) / (STEPS - 1 - WARM_STEPS) for epoch in times[1:]]
    gaps = [after[0] - before[-1] for before, after in pairwise(times[1:])]
    return {"step": 1000 * statistics.median(steps), "gap": 1000 * statistics.median(gaps)}


def main() -> None:
    """Measure every feed in turn, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="tensorflow", choices=["tensorflow", "jax", "torch"])
    parser.add_argument("--rounds", type=int, default=3, help="times each feed is measured")
    parser.add_argument("--only", choices=FEEDS, help="measure one feed here, and print JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only)), flush=True)
        os._exit(0)
    environment = {**os.environ, "KERAS_BACKEND": arguments.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in FEEDS}
    for _ in range(arguments.rounds):
        for name in FEEDS:
            command = [sys.executable, __file__, "--only", name]
            result = subprocess.run(command, capture_output=True, text=True, env=environment)
            if result.returncode:
                sys.exit(f"{name} failed:\n{result.stderr}")
            found[name].append(json.loads(result.stdout.splitlines()[-1]))
    print(f"| {arguments.backend} | ms a step | spread | ms between epochs |\n|---|---|---|---|")
    for name, figures in found.items():
        steps, gaps = [[one[key] for one in figures] for key in ("step", "gap")]
        print(f"| {name} | {statistics.median(steps):.2f} | {min(steps):.2f}–{max(steps):.2f} "
              f"| {statistics.median(gaps):.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
