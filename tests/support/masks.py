"""Small images of discs with their masks: a disc is red, the rest is not."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = "data.mask_values={0: ground, 255: disc}"


def disc_image(number, size=(12, 10)):
    """An image of a red disc, shape `(*size, 3)`, and its mask of 0 and 255, shape `size`; both uint8."""
    random = np.random.default_rng(number)
    rows, columns = np.mgrid[: size[0], : size[1]]
    centre, radius = random.uniform(2, min(size) - 2, 2), random.uniform(2, min(size) / 3)
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    image = random.integers(0, 100, (*size, 3), np.uint8)
    image[inside, 0] += 150
    return image, inside.astype(np.uint8) * 255


def write_discs(root, count, *, folders=("a", "b"), size=(12, 10), image_suffix="", mask_suffix=""):
    """Write images below `root/images` and masks below `root/masks`, in turn into `folders`; returns `root`."""
    for number in range(count):
        image, mask = disc_image(number, size)
        for kind, array, suffix in (("images", image, image_suffix), ("masks", mask, mask_suffix)):
            path = Path(root, kind, folders[number % len(folders)], f"{number:02}{suffix}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    return Path(root)


def discs(root, *keys):
    """Overrides that read such images."""
    return [
        "data=directory",
        f"data.root={root}/images",
        f"data.masks={root}/masks",
        "data.class_mode=mask",
        "data.target_size=[12,10]",
        CLASSES,
        *keys,
    ]
