"""`data=digits`: handwritten digits that come with scikit-learn, the default data."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from runner.component import Folder, Fraction, Size, is_folder
from runner.data.class_files import SplitFiles
from runner.data.class_folders import ClassFolders
from runner.data.split_folders import SplitFolders
from runner.errors import DataError, reason
from runner.images.settings import ColorMode
from runner.messages import plural

BRIGHTEST = 16
"""The largest pixel value in scikit-learn's arrays; it becomes 255, white."""

NUM_DIGITS = 1797
"""Number of digits."""


class Digits(ClassFolders):
    """scikit-learn's 1,797 handwritten digits, 8×8 pixels, written once as PNG files in class folders."""

    kind: Literal["digits"] = "digits"

    root: Folder = Path("outputs/data/digits")
    """Folder of the PNG files, which are written at the first use."""

    target_size: Size = (8, 8)
    """Height and width of a digit, in pixels."""

    color_mode: ColorMode = "grayscale"
    """Channels of a sample."""

    validation_split: Fraction = 0.1
    """Share of the digits to hold out for validation."""

    test_split: Fraction = 0.2
    """Share of the digits to hold out for the test."""

    def split_folders(self) -> SplitFolders:
        """One folder with all digits, written first if it does not exist.

        Raises `DataError` if it cannot be written.
        """
        if not is_folder(self.root):
            try:
                write_digits(self.root)
            except OSError as error:
                raise DataError(
                    f"data.root must be a folder that can be written to, got {self.root}: {reason(error)}; set another"
                ) from error
        return SplitFolders({"train": self.root})

    def notes(self, listed: Mapping[str, SplitFiles], classes: tuple[str, ...]) -> Iterator[str]:
        """Notes on class folders, and on a folder that holds other images than the digits."""
        yield from super().notes(listed, classes)
        found = len(listed["train"].images)
        if found != NUM_DIGITS and self.classes is None:
            yield (
                f"{self.root} holds {plural(found, 'image')}, not the {NUM_DIGITS:,} digits; give data=directory for "
                "images of your own, or set data.root to a new folder to write the digits there"
            )


def write_digits(root: Path) -> None:
    """Write the digits as `root/<digit>/<number>.png`; the folder appears complete or not at all."""
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
    temporary.chmod(0o755)  # mkdtemp makes folders that only their owner can read
    try:
        temporary.rename(root)
    except OSError:
        if not root.is_dir():  # otherwise another run has just written the same digits
            raise
