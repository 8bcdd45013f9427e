"""Later epochs of photographs that were decoded once, in shuffled batches of 32 × 224×224×3, next to a plain copy.

python benchmarks/cache.py [--samples 1200] [--rounds 3]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from contenders import BATCH_SIZE, SIDE, runner_loader
from measuring import Epochs, compare
from photographs import make_photographs

SHAPE = (SIDE, SIDE, 3)


def memcpy(root: Path) -> Epochs:
    """The limit: batch after batch copied from one array to another, in the order they lie there."""
    held = np.ones((_num_files(root), *SHAPE), np.uint8)
    batch = np.empty((BATCH_SIZE, *SHAPE), np.uint8)

    def epoch(number: int) -> Iterator[tuple[Any]]:
        for start in range(0, len(held), BATCH_SIZE):
            rows = held[start : start + BATCH_SIZE]
            batch[: len(rows)] = rows
            yield (rows,)

    return epoch


def numpy_memmap(root: Path) -> Epochs:
    """`x[indices]` of a memory-mapped file, as one writes it by hand."""
    file = _beside(root) / "decoded.bin"
    shape = (_num_files(root), *SHAPE)
    if not file.exists() or file.stat().st_size != np.prod(shape):
        np.ones(shape, np.uint8).tofile(file)
    held = np.memmap(file, np.uint8, "r", shape=shape)

    def epoch(number: int) -> Iterator[tuple[Any]]:
        order = np.random.default_rng(number).permutation(len(held))
        for start in range(0, len(held), BATCH_SIZE):
            yield (held[order[start : start + BATCH_SIZE]],)

    return epoch


def tf_data(root: Path, cache_file: str = "") -> Epochs:
    """`decode_jpeg`, `resize`, `cache`, `shuffle`, `batch`, `prefetch`: tf.data as its guide has it."""
    import tensorflow as tf

    files = sorted(map(str, root.glob("*/*.jpg")))

    def load(path: Any) -> Any:
        image = tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (SIDE, SIDE))
        return tf.cast(tf.ensure_shape(image, SHAPE), tf.uint8)

    dataset = tf.data.Dataset.from_tensor_slices(files).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.cache(cache_file).shuffle(len(files)).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    return lambda number: ((batch,) for batch in dataset)


def tf_data_on_disk(root: Path) -> Epochs:
    """The same with `cache(file)`."""
    import tempfile

    return tf_data(root, f"{tempfile.mkdtemp(dir=_beside(root))}/cache")


def on_disk(root: Path) -> Epochs:
    """The runner's cache on disk."""
    settings = {"loader.workers": 2, "loader.cache": "disk", "loader.cache_dir": _beside(root) / "cache"}
    return runner_loader("sequence", **settings)(root)


def _beside(root: Path) -> Path:
    """A folder for what is decoded; in the other one it would be another class."""
    folder = root.with_name(f"{root.name}-decoded")
    folder.mkdir(exist_ok=True)
    return folder


def _num_files(root: Path) -> int:
    return sum(1 for _ in root.glob("*/*.jpg"))


CONTENDERS = {
    "copying memory, the limit": memcpy,
    "runner loader.cache=memory": runner_loader("sequence", **{"loader.workers": 2, "loader.cache": "memory"}),
    "runner loader.cache=disk": on_disk,
    "runner loader=in_memory": runner_loader("in_memory", **{"loader.workers": 2}),
    "NumPy, memory-mapped file": numpy_memmap,
    "tf.data cache in memory": tf_data,
    "tf.data cache on disk": tf_data_on_disk,
}

if __name__ == "__main__":
    compare(CONTENDERS, make_photographs, samples=1200, about=__doc__)
