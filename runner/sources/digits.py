"""`data=digits`: the embedded default."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from runner.components import Folder, Size
from runner.images import ImageSettings
from runner.images.settings import ColorMode
from runner.labels import ClassMode
from runner.sources.data import Data, Dataset


class Digits(Data, ImageSettings):
    """scikit-learn's 1,797 handwritten digits, 8×8 pixels, written once as PNG class folders."""

    kind: Literal["digits"] = "digits"

    root: Folder = Path("outputs/data/digits")
    """Where the PNG files are written at the first use."""

    target_size: Size = (8, 8)
    color_mode: ColorMode = "grayscale"

    class_mode: ClassMode | None = "categorical"
    """What `y` is: categorical (one-hot), sparse (class numbers), input (the image), null (nothing)."""

    def open(self) -> Dataset:  # noqa: D102
        raise NotImplementedError
