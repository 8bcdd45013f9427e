"""What each augmentation costs, next to reading the image: `python benchmarks/augment.py`.

Milliseconds of one thread for an image of 224×224×3, and how many times as long reading it then takes: decoding a
JPEG of 500×375 and resizing it. Mixing is for a batch of 32 such images, next to reading all of them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from photographs import make_photographs

from runner import build_loader, compose
from runner.batch import ArraySpec, Batch
from runner.loaders.blend import Blend
from runner.transforms.augment import augment
from runner.transforms.settings import Augment

AUGMENTED: dict[str, dict[str, Any]] = {
    "flip": {"flip": "horizontal"},
    "rotation": {"rotation": 0.1},
    "resized_crop": {"resized_crop": {}},
    "shear_x": {"shear_x": 0.2},
    "brightness": {"brightness": 0.2},
    "contrast": {"contrast": 0.2},
    "hue": {"hue": 0.2},
    "saturation": {"saturation": (0.3, 0.7)},
    "grayscale": {"grayscale": 1.0},
    "blur": {"blur": {}},
    "erasing": {"erasing": {}},
}
COUNT, REPEATS, ROWS = 64, 5, 32


def milliseconds(work: Callable[[int], object], count: int) -> float:
    """The CPU time of this thread for one call, the best of some rounds."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.thread_time()
        for number in range(count):
            work(number)
        best = min(best, time.thread_time() - begin)
    return best / count * 1000


def main() -> None:
    """Print a line for each augmentation."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        make_photographs(Path(name), COUNT)
        keys = ["data=directory", f"data.root={name}", "data.target_size=[224,224]", "data.validation_split=0"]
        with build_loader(compose([*keys, "data.test_split=0", "loader=generator"])) as loader:
            count = len(loader.source)
            reading = milliseconds(loader.source.read, count)
            x = loader.batch(0, 0).x
    print(f"{'reading':<14}{reading:>8.2f} ms   1.00")
    spec = ArraySpec(x.shape[1:], x.dtype)
    for key, settings in AUGMENTED.items():
        (change,) = augment(Augment(**settings), spec, 0, training=True)
        cost = milliseconds(lambda number, change=change: change(x[number % len(x)], 0, number), 100)
        print(f"{key:<14}{cost:>8.2f} ms   {1 + cost / reading:.2f}")
    batch = Batch(x[:ROWS], np.eye(ROWS, dtype=np.float32)[: len(x)], None, tuple(map(str, range(len(x[:ROWS])))))
    for key, blend in (("mixup", Blend(0.2, 0.0, 0)), ("cutmix", Blend(0.0, 1.0, 0))):
        cost = milliseconds(lambda step, blend=blend: blend.mix(batch, 0, step), 20)
        print(f"{key:<14}{cost:>8.2f} ms   {1 + cost / reading / len(batch):.2f}   of a batch of {len(batch)}")


if __name__ == "__main__":
    main()
