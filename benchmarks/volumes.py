"""An epoch of `.npy` files of 32×32×32×1 float32 to shuffled batches of 64, next to the least reading time.

python benchmarks/volumes.py [--samples 2000] [--rounds 3]
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from contenders import epochs_of
from measuring import Epochs, compare

BATCH_SIZE, SHAPE = 64, (32, 32, 32, 1)
NUM_BYTES = int(np.prod(SHAPE)) * 4


def make_volumes(root: Path, number: int) -> None:
    """Write `number` files, the partition and the labels, unless they are there."""
    folder, random = root / "volumes", np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"id-{index:05d}" for index in range(number)]
    for name in names:
        if not (folder / f"{name}.npy").exists():
            np.save(folder / f"{name}.npy", random.standard_normal(SHAPE, np.float32))
    (root / "partition.json").write_text(json.dumps({"train": names}))
    (root / "labels.json").write_text(json.dumps({name: index % 6 for index, name in enumerate(names)}))


def readv(root: Path) -> Epochs:
    """The limit: the header parsed never, the values read to their row, one array for all batches."""
    files, begin = _files(root), bytearray(128)
    batch = np.empty((BATCH_SIZE, *SHAPE), np.float32)
    rows = [row.reshape(-1).view(np.uint8).data for row in batch]

    def epoch(number: int) -> Iterator[tuple[Any]]:
        for chosen in _batches(files, number):
            for file, row in zip(chosen, rows, strict=False):
                descriptor = os.open(file, os.O_RDONLY)
                os.readv(descriptor, [begin, row])
                os.close(descriptor)
            yield (batch[: len(chosen)],)

    return epoch


def runner_loader(kind: str, workers: int) -> Any:
    """One of the runner's own loaders."""

    def open_loader(root: Path) -> Epochs:
        import runner

        keys = {
            "data": "npy",
            "data.root": root / "volumes",
            "data.partition": root / "partition.json",
            "data.labels": root / "labels.json",
            "data.validation_split": 0,
            "loader": kind,
            "loader.workers": workers,
            "loader.batch_size": BATCH_SIZE,
        }
        return runner.build_loader(runner.compose([f"{key}={value}" for key, value in keys.items()])).epoch

    return open_loader


def tutorial(root: Path) -> Epochs:
    """`numpy.load` into the rows of a new array, as the tutorials have it."""
    files = _files(root)

    def epoch(number: int) -> Iterator[tuple[Any]]:
        for chosen in _batches(files, number):
            x = np.empty((len(chosen), *SHAPE), np.float32)
            for row, file in enumerate(chosen):
                x[row] = np.load(file)
            yield (x,)

    return epoch


def keras_sequence(root: Path) -> Epochs:
    """The tutorials' `Sequence`, read by two threads."""
    import keras

    files = _files(root)

    class DataGenerator(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__(workers=2)

        def __len__(self) -> int:
            return -(-len(files) // BATCH_SIZE)

        def __getitem__(self, index: int) -> Any:
            chosen = files[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
            x = np.empty((len(chosen), *SHAPE))
            for row, file in enumerate(chosen):
                x[row] = np.load(file)
            return x, np.zeros(len(chosen))

    return epochs_of(DataGenerator())


def tf_data(root: Path) -> Epochs:
    """`read_file` and `decode_raw` behind a header of known length."""
    import tensorflow as tf

    def load(path: Any) -> Any:
        values = tf.strings.substr(tf.io.read_file(path), 128, NUM_BYTES)
        return tf.reshape(tf.io.decode_raw(values, tf.float32), SHAPE)

    files = _files(root)
    dataset = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    return lambda number: ((batch,) for batch in dataset)


def _files(root: Path) -> list[str]:
    return [
        str(root / "volumes" / f"{name}.npy") for name in json.loads((root / "partition.json").read_text())["train"]
    ]


def _batches(files: list[str], seed: int) -> Iterator[list[str]]:
    order = np.random.default_rng(seed).permutation(len(files)).tolist()
    for start in range(0, len(files), BATCH_SIZE):
        yield [files[index] for index in order[start : start + BATCH_SIZE]]


CONTENDERS = {
    "readv into one array, the limit": readv,
    "runner generator": runner_loader("generator", 0),
    "runner sequence, 1 thread": runner_loader("sequence", 1),
    "runner sequence, 2 threads": runner_loader("sequence", 2),
    "numpy.load loop of the tutorials": tutorial,
    "Keras Sequence of the tutorials": keras_sequence,
    "tf.data decode_raw": tf_data,
}

if __name__ == "__main__":
    compare(CONTENDERS, make_volumes, samples=2000, about=__doc__)
