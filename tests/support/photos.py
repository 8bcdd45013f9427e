"""Small images of noise in class folders."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_photos(root, folders, count, *, size=(6, 5), seed=0, suffix=".png"):
    """Write images `00`, `01`, … of `size` (height, width) into each of `folders` below `root`; returns `root`."""
    random = np.random.default_rng(seed)
    for name in folders:
        folder = Path(root, name)
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(folder / f"{number:02}{suffix}")
    return root
