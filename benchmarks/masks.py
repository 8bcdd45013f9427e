"""An epoch of photographs with masks to shuffled batches of 32: image and mask, and what each costs alone.

python benchmarks/masks.py [--samples 600] [--rounds 3]

The aim: image and mask take at most 1.05 times the CPU time of the image alone and Pillow's decoding of the mask. The
last line says so, of one process where all of them take turns sample by sample: none has a warmer cache than another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from contenders import BATCH_SIZE, SIDE, runner_loader
from measuring import Contenders, Epochs, compare
from photographs import make_photographs

TURNS, ROUNDS = 200, 25
"""Samples, and how often each is read by each contender, for the ratio of their costs."""

MASKS = {"data.class_mode": "mask", "data.mask_values": "{0: ground, 1: disc, 2: other}"}


def make_masked_photographs(root: Path, samples: int) -> None:
    """Photographs in `root/images`, and in `root/masks` PNG masks of their size with discs of two classes."""
    import numpy as np
    from PIL import Image

    make_photographs(root / "images", samples)
    for file in sorted((root / "images").glob("*/*.jpg")):
        mask = root / "masks" / file.parent.name / f"{file.stem}.png"
        if mask.exists():
            continue
        mask.parent.mkdir(parents=True, exist_ok=True)
        width, height = Image.open(file).size
        random = np.random.default_rng(int("".join(filter(str.isdigit, file.stem)) or 0))
        rows, columns = np.mgrid[:height, :width]
        values = np.zeros((height, width), np.uint8)
        for number in range(4):
            y, x = random.integers(0, (height, width))
            values[(rows - y) ** 2 + (columns - x) ** 2 < random.integers(30, 90) ** 2] = 1 + number % 2
        Image.fromarray(values).save(mask)


def with_masks(kind: str, root: Path, **settings: Any) -> Epochs:
    """One of the runner's own loaders of images and masks."""
    return runner_loader(kind, **MASKS, **{"data.masks": root / "masks"}, **settings)(root / "images")


def image_alone(kind: str, root: Path, **settings: Any) -> Epochs:
    """One of the runner's own loaders of the images."""
    return runner_loader(kind, **{"data.class_mode": "null"}, **settings)(root / "images")


def masks_by_pillow(root: Path) -> Epochs:
    """Only Pillow's decoding of the masks, one after the other."""
    import numpy as np
    from PIL import Image

    files = sorted((root / "masks").glob("*/*.png"))

    def epoch(number: int) -> Iterator[Any]:
        for start in range(0, len(files), BATCH_SIZE):
            yield ([np.asarray(Image.open(file)) for file in files[start : start + BATCH_SIZE]],)

    return epoch


def image_then_pillow(root: Path) -> Epochs:
    """Each image as the runner reads it, then Pillow's decoding of its mask: what both cost at least."""
    import numpy as np
    from PIL import Image

    source = _source(with_masks("generator", root))
    images, masks = source.images, [source.places(index)[1].file for index in range(len(source))]

    def epoch(number: int) -> Iterator[Any]:
        order = np.random.default_rng(number).permutation(len(masks)).tolist()
        for start in range(0, len(order), BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            x, decoded = np.empty((len(chosen), *images.spec.shape), np.uint8), []
            for row, index in enumerate(chosen):
                images.read(index, x[row])
                decoded.append(np.asarray(Image.open(masks[index])))
            yield (x, decoded)

    return epoch


def tf_data(root: Path) -> Epochs:
    """tf.data by hand: image not antialiased, mask by nearest, in any order."""
    import tensorflow as tf

    images = sorted((root / "images").glob("*/*.jpg"))
    masks = [str(root / "masks" / file.parent.name / f"{file.stem}.png") for file in images]

    def load(image_path: Any, mask_path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(image_path), channels=3)
        mask = tf.io.decode_png(tf.io.read_file(mask_path), channels=1)
        image = tf.cast(tf.image.resize(tf.ensure_shape(image, (None, None, 3)), (SIDE, SIDE)) + 0.5, tf.uint8)
        return image, tf.image.resize(mask, (SIDE, SIDE), method="nearest")[..., 0]

    options = tf.data.Options()
    options.deterministic = False
    dataset = tf.data.Dataset.from_tensor_slices((list(map(str, images)), masks)).shuffle(len(images))
    dataset = dataset.with_options(options).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    return lambda epoch: dataset


TWO_THREADS = {"loader.workers": 2}
CONTENDERS: Contenders = {
    "image, then Pillow's decoding of the mask": image_then_pillow,
    "image alone, generator": partial(image_alone, "generator"),
    "Pillow's decoding of the masks alone": masks_by_pillow,
    "image and mask, generator": partial(with_masks, "generator"),
    "image and mask, sequence, 2 threads": lambda root: with_masks("sequence", root, **TWO_THREADS),
    "image and mask, tf.data by hand": tf_data,
}


def print_ratio(root: Path) -> None:
    """Print what image and mask cost next to both alone: the least CPU time of each sample in `ROUNDS`, on average."""
    import numpy as np
    from PIL import Image

    whole, alone = (_source(opened("generator", root)) for opened in (with_masks, image_alone))
    masks = [whole.places(index)[1].file for index in range(min(len(whole), TURNS))]
    image, both = np.empty((1, *alone.spec.shape), np.uint8), whole.spec.empty()[None]
    steps: dict[str, Callable[[int], object]] = {
        "image": lambda index: alone.read_many(np.array([index]), image),
        "mask": lambda index: np.asarray(Image.open(masks[index])),
        "both": lambda index: whole.read_many(np.array([index]), both),
    }
    least = {name: np.full(len(masks), np.inf) for name in steps}
    for _ in range(ROUNDS):
        for index in range(len(masks)):
            for turn, (name, step) in enumerate(steps.items()):
                chosen = (index + turn * len(masks) // len(steps)) % len(masks)
                begin = time.thread_time_ns()
                step(chosen)
                least[name][chosen] = min(least[name][chosen], time.thread_time_ns() - begin)
    means = {name: float(times.mean()) / 1e6 for name, times in least.items()}
    ratio = means["both"] / (means["image"] + means["mask"])
    print(
        f"image {means['image']:.3f} ms, mask by Pillow {means['mask']:.3f}, image and mask {means['both']:.3f}: "
        f"{ratio:.3f} times both"
    )


def _source(epochs: Epochs) -> Any:
    """The source that a loader's epochs read from, below its views."""
    source: Any = epochs.__self__.source  # type: ignore[attr-defined]
    while hasattr(source, "source"):
        source = source.source
    return source


if __name__ == "__main__":
    print_ratio(compare(CONTENDERS, make_masked_photographs, samples=600, about=__doc__))
