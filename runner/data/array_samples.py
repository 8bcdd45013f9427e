"""Samples that are the rows of an array in an `.npz` file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.batch import Array, ArraySpec
from runner.data.archive import load_archive
from runner.data.labels import Labels
from runner.data.source import Source
from runner.errors import DataError
from runner.finite import narrowed


@dataclass(frozen=True)
class ArraySamples(Source):
    """The rows of one array in memory; the id of a sample is its split and row.

    Worker processes load the array from the file themselves: pickling leaves it out.
    """

    file: Path
    name: str
    split: str
    labels: Labels
    rows: Array

    @cached_property
    def ids(self) -> list[str]:
        """`train-0`, `train-1`, …; unique in the file."""
        return [f"{self.split}-{row}" for row in range(len(self.rows))]

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of a row."""
        return ArraySpec(self.rows.shape[1:], self.rows.dtype)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int, out: Array | None = None) -> Array:
        """Copy row `index`."""
        row: Array = self.rows[index]
        if out is None:
            return row.copy()
        out[...] = row
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "name": self.name, "split": self.split, "labels": self.labels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        file, name = state["file"], state["name"]
        self.__dict__.update(state, rows=number_rows(load_archive(file, [name])[name], file, name))


def number_rows(array: Array, file: Path, name: str) -> Array:
    """The samples of an array as numbers in native byte order; float64 becomes float32."""
    if array.ndim < 2 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{file}: {name} must hold numbers, of shape (samples, …) with at least two dimensions, got shape "
            f"{array.shape} of {array.dtype}; numpy.reshape({name}, (-1, 1)) makes each number a sample"
        )
    return narrowed(array)
