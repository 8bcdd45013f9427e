"""`data=arrays`: arrays in one `.npz` file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from runner.components import File
from runner.labels import ClassMode
from runner.sources.data import Data, Dataset


class Arrays(Data):
    """Arrays `x` and `y` of one `.npz` file; `x_validation`, `y_validation`, `x_test`, `y_test` where it has them."""

    kind: Literal["arrays"] = "arrays"

    path: File
    """The `.npz` file."""

    class_mode: ClassMode | None = "sparse"
    """What `y` is: sparse (class numbers), categorical (one-hot), binary, input (the sample), null (nothing)."""

    def open(self) -> Dataset:  # noqa: D102
        raise NotImplementedError

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The file, if it does not exist."""
        if not self.path.is_file():
            yield "path", self.path
