"""`data=digits`: the embedded default."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from runner.component import Folder, Fraction, Size
from runner.data.class_folders import ClassFolders, Listed
from runner.errors import DataError
from runner.images.reader import reason
from runner.images.settings import ColorMode

BRIGHTEST = 16
"""The largest value of a pixel as scikit-learn has it; 16 × 255/16 is white."""

NUM_DIGITS = 1797
"""How many there are."""


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
        """One folder with all digits, written first if it is not there.

        Raises `DataError` if it cannot be written.
        """
        if not self.root.is_dir():
            try:
                write_digits(self.root)
            except OSError as error:
                raise DataError(
                    f"data.root={self.root} must be a folder the digits can be written to: {reason(error)}; set another"
                ) from error
        return {"train": self.root}

    def notes(
        self, folders: Mapping[str, Path], listed: Mapping[str, Listed], classes: tuple[str, ...]
    ) -> Iterator[str]:
        """As for all class folders; and that the folder holds other images than the digits, which stay as they are."""
        yield from super().notes(folders, listed, classes)
        found = len(listed["train"][0])
        if found != NUM_DIGITS and self.classes is None:
            yield (
                f"{self.root} holds {found:,} images, not the {NUM_DIGITS:,} digits; set data.root to a new folder "
                "to have those written"
            )


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
