"""`data=digits`: the embedded default."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from runner.components import Folder, Fraction, Size
from runner.images.settings import ColorMode
from runner.sources.class_folders import ClassFolders

BRIGHTEST = 16
"""The largest value of a pixel as scikit-learn has it; 16 × 255/16 is white."""


class Digits(ClassFolders):
    """scikit-learn's 1,797 handwritten digits, 8×8 pixels, written once as PNG files in class folders."""

    kind: Literal["digits"] = "digits"

    root: Folder = Path("outputs/data/digits")
    """Where the PNG files are written at the first use."""

    target_size: Size = (8, 8)
    """Height and width of a digit, in pixels."""

    color_mode: ColorMode = "grayscale"
    """Channels of a sample."""

    validation_split: Fraction = 0.1
    """Share of the digits held out for validation."""

    test_split: Fraction = 0.2
    """Share of the digits held out for the test."""

    def split_folders(self) -> Mapping[str, Path]:
        """One folder with all digits, written first if it is not there."""
        if not self.root.is_dir():
            write_digits(self.root)
        return {"train": self.root}


def write_digits(root: Path) -> None:
    """Write the digits as `root/<digit>/<number>.png`; the folder appears whole or not at all."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    root.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}-"))
    try:
        for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
            folder = temporary / str(digit)
            folder.mkdir(exist_ok=True)
            Image.fromarray(np.rint(pixels * 255 / BRIGHTEST).astype(np.uint8)).save(folder / f"{number:04d}.png")
        _publish(temporary, root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, root: Path) -> None:
    temporary.chmod(0o755)  # mkdtemp makes folders only their owner can read
    try:
        temporary.rename(root)
    except OSError:
        if not root.is_dir():  # else another run has written the same digits meanwhile
            raise
