"""`data=arrays`: arrays in one `.npz` file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import model_validator

from runner.batch import Array, ArraySpec
from runner.component import File, is_file
from runner.data.dataset import Data, Dataset, relabel_splits
from runner.data.labels import (
    NO_LABELS,
    ClassMode,
    Head,
    Labels,
    MaskMode,
    NumberMode,
    class_head,
    encode_classes,
    refuse_quantities,
)
from runner.data.masks import FIRST_MASKS, IMAGE, MASK, MaskSettings, mask_labels
from runner.data.numbers import SAMPLE, TARGET, NumberSettings, numbers_head
from runner.data.source import Source
from runner.errors import DataError
from runner.messages import first_few, plural, shape_text

if TYPE_CHECKING:
    from runner.data.archive import ArchiveNames
    from runner.data.array_samples import ArraySamples


class Arrays(Data, MaskSettings, NumberSettings):
    """Arrays `x` and `y` of one `.npz` file, or `x_train` and `y_train`; optionally `x_val`, `y_val`, `x_test`, …"""

    kind: Literal["arrays"] = "arrays"

    path: File
    """The `.npz` file."""

    class_mode: ClassMode | NumberMode | MaskMode | Literal["multi_label"] | None = "sparse"
    """Form of `y`: sparse (class numbers), categorical (one-hot), binary, multi_label (a 0 or 1 for each class), raw
    (one number, a row of them, or an array), mask (a class for each pixel), input (the sample), null (nothing)."""

    weights: str | None = None
    """The array with the weight of each training sample in the loss, such as sample_weight; those of other splits have
    the name of the split behind it, as in sample_weight_val. Null: equal weights."""

    @model_validator(mode="after")
    def _weights_have_an_effect(self) -> Self:
        if self.weights is not None and self.class_mode is None:
            raise ValueError(f"weights must be null with class_mode=null, got {self.weights!r}")
        if self.weights is not None and self.weights.lower() in ("", "x", "y"):
            raise ValueError(f"weights must name an array other than x and y, got {self.weights!r}")
        return self

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The key of the file, if the file does not exist."""
        if not is_file(self.path):
            yield "path", self.path

    def open(self) -> Dataset:
        """Load the arrays.

        Raises `DataError` if the file is not an `.npz` file, has no `x`, or its arrays do not fit each other.
        """
        return self._open(())

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Load the arrays for a model with these heads; masks get its codes. Raises `DataError` as `open` does."""
        return relabel_splits(self._open(heads[0].class_names if len(heads) == 1 else ()), heads)

    def _open(self, known: tuple[str, ...]) -> Dataset:
        from runner.data.archive import find_names, load_archive
        from runner.data.array_samples import ArraySamples, number_rows

        arrays = load_archive(self.path)
        names = find_names(self.path, arrays, self.weights)
        if "train" not in names.x:
            raise DataError(
                f"{self.path} must hold an array x, got {', '.join(arrays) or 'no arrays'}; name it x or x_train, and "
                "its labels y or y_train"
            )
        rows = {split: number_rows(arrays[name], self.path, name) for split, name in names.x.items()}
        self._refuse_other_shapes(rows, names)
        labels = self._labels(arrays, rows, names)
        weights = self._weights(arrays, rows, names)
        labels = {split: replace(found, weights=weights.get(split)) for split, found in labels.items()}
        sources: dict[str, Source] = {
            split: ArraySamples(self.path, names.x[split], split, labels[split], array) for split, array in rows.items()
        }
        if self.class_mode == "mask":
            sources = self._with_masks(sources, arrays, names, known)
        elif self._are_targets_arrays(arrays, names):
            sources = self._with_arrays(sources, arrays, names)
        dataset = self.dataset(sources, sources["train"].labels.heads, files=(self.path,))
        if not names.unread:
            return dataset
        are = "are" if len(names.unread) > 1 else "is"
        note = f"{first_few(names.unread)} in {self.path} {are} not read; names are x, y, x_val, y_val, x_test, y_test"
        if any("weight" in name.lower() for name in names.unread) and self.class_mode is not None:
            note += ", and weights are read by data.weights=NAME"
        return replace(dataset, notes=(note, *dataset.notes))

    def _refuse_other_shapes(self, rows: Mapping[str, Array], names: ArchiveNames) -> None:
        expected = rows["train"]
        for split, array in rows.items():
            if (array.shape[1:], array.dtype) != (expected.shape[1:], expected.dtype):
                raise DataError(
                    f"{self.path}: {names.x[split]} must hold samples like those of {names.x['train']}, "
                    f"{_sample_spec(expected)}; got {_sample_spec(array)}"
                )

    def _labels(self, arrays: Mapping[str, Array], rows: Mapping[str, Array], names: ArchiveNames) -> dict[str, Labels]:
        if self.class_mode is None or self.class_mode == "mask":
            return dict.fromkeys(rows, NO_LABELS)
        if self.class_mode == "input":
            return dict.fromkeys(rows, Labels(class_head("input", ()), (np.empty(0, np.int64),)))
        if self.class_mode == "multi_label":
            return self._marks(arrays, rows, names)
        if self.class_mode == "raw":
            several = self._are_targets_arrays(arrays, names)
            return dict.fromkeys(rows, NO_LABELS) if several else self._numbers(arrays, rows, names)
        values = {split: self._classes(arrays, names.y_of(split), len(array)) for split, array in rows.items()}
        one_hot = [y for split in rows if _is_one_hot(y := arrays[names.y_of(split)])]
        # Every one-hot column is a class, even if no sample has it.
        columns = np.arange(max((y.shape[1] for y in one_hot), default=0))
        class_names, codes = encode_classes(np.concatenate([*values.values(), columns]))
        heads = class_head(self.class_mode, class_names)
        refuse_quantities(self.class_mode, class_names, len(values["train"]))
        ends = np.cumsum([len(column) for column in values.values()])  # the last part, the columns, is dropped
        return {split: Labels(heads, (column,)) for split, column in zip(values, np.split(codes, ends), strict=False)}

    def _marks(self, arrays: Mapping[str, Array], rows: Mapping[str, Array], names: ArchiveNames) -> dict[str, Labels]:
        """Rows with a 0 or 1 for each class; the classes are numbered."""
        width = self._y(arrays, names.y_of("train")).shape[-1:]
        heads = (Head("", "multi_label", tuple(map(str, range(math.prod(width))))),)
        found = {}
        for split, array in rows.items():
            values = self._y(arrays, names.y_of(split))
            if values.shape != (len(array), *width) or not _is_marks(values):
                raise DataError(
                    f"{self.path}: {names.y_of(split)} must hold a 0 or 1 for each class, of shape "
                    f"({len(array)}, classes), for data.class_mode=multi_label; got shape {values.shape} of "
                    f"{values.dtype}{'' if values.ndim != 2 else ' with other values or another number of classes'}"
                )
            found[split] = Labels(heads, (values.astype(np.uint8),))
        return found

    def _are_targets_arrays(self, arrays: Mapping[str, Array], names: ArchiveNames) -> bool:
        """Whether `y` holds an array of several axes for each sample, not numbers."""
        return self.class_mode == "raw" and self._y(arrays, names.y_of("train")).ndim > 2

    def _with_arrays(
        self, samples: Mapping[str, Source], arrays: Mapping[str, Array], names: ArchiveNames
    ) -> dict[str, Source]:
        """The samples with the rows of `y` as arrays to predict."""
        from runner.data.target_arrays import SideBySide, with_array_target

        if self.value_names is not None:
            raise DataError("data.value_names must be null for targets of several axes, which have no names")
        rows = {split: self._rows_of_y(arrays, names.y_of(split), split, len(one)) for split, one in samples.items()}
        for split, found in rows.items():
            if found.spec.shape != rows["train"].spec.shape:
                raise DataError(
                    f"{self.path}: {names.y_of(split)} must hold arrays of the shape "
                    f"{shape_text(rows['train'].spec.shape)}, as {names.y_of('train')}, got "
                    f"{shape_text(found.spec.shape)}"
                )
        pairs = {split: SideBySide({SAMPLE: samples[split], TARGET: rows[split]}) for split in samples}
        return {split: with_array_target(pair, TARGET) for split, pair in pairs.items()}

    def _rows_of_y(self, arrays: Mapping[str, Array], name: str, split: str, num_samples: int) -> ArraySamples:
        """The rows of `y` as samples of their own."""
        from runner.data.array_samples import ArraySamples, number_rows

        found = number_rows(self._y(arrays, name), self.path, name)
        if len(found) != num_samples:
            raise DataError(
                f"{self.path}: {name} must hold a target for each of {plural(num_samples, 'sample')}, got {len(found)}"
            )
        return ArraySamples(self.path, name, split, NO_LABELS, found)

    def _with_masks(
        self,
        samples: Mapping[str, Source],
        arrays: Mapping[str, Array],
        names: ArchiveNames,
        known: tuple[str, ...],
    ) -> dict[str, Source]:
        """The samples with the rows of `y` as their masks."""
        from runner.data.target_arrays import SideBySide, refuse_other_sides, whole_numbers, with_masks

        pairs = {}
        for split, source in samples.items():
            name = names.y_of(split)
            rows = self._rows_of_y(arrays, name, split, len(source))
            pairs[split] = SideBySide({IMAGE: source, MASK: rows})
            refuse_other_sides(pairs[split].spec, MASK, f"{self.path}: masks in {name}")
        first = [pairs["train"].read(row).arrays[MASK] for row in range(min(FIRST_MASKS, len(pairs["train"])))]
        classes = self.mask_classes(known, lambda: [whole_numbers(mask) for mask in first])
        return {split: with_masks(pair, classes, mask_labels(classes)) for split, pair in pairs.items()}

    def _numbers(
        self, arrays: Mapping[str, Array], rows: Mapping[str, Array], names: ArchiveNames
    ) -> dict[str, Labels]:
        columns = {
            split: self._number_column(self._y(arrays, names.y_of(split)), names.y_of(split), len(array))
            for split, array in rows.items()
        }
        widths = {split: column.shape[1:] for split, column in columns.items()}
        for split, width in widths.items():
            if width != widths["train"]:
                raise DataError(
                    f"{self.path}: {names.y_of(split)} must hold as many numbers per sample as "
                    f"{names.y_of('train')}, {math.prod(widths['train'])}, got {math.prod(width)}"
                )
        heads = numbers_head(math.prod(widths["train"]), self.value_names)
        return {split: Labels(heads, (column,)) for split, column in columns.items()}

    def _number_column(self, values: Array, name: str, num_samples: int) -> Array:
        """Numbers of the samples, shape `(n,)` or `(n, values)`, float32."""
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if (
            values.ndim not in (1, 2)
            or len(values) != num_samples
            or not values.size
            or values.dtype.kind not in "biuf"
        ):
            raise DataError(
                f"{self.path}: {name} must hold one number or one row of numbers per sample, of shape ({num_samples},) "
                f"or ({num_samples}, values); got shape {values.shape} of {values.dtype}"
            )
        from runner.finite import first_not_finite, narrowed, not_finite_text  # no configuration needs it

        column: Array = narrowed(values.astype(np.float64)).astype(np.float32)
        if (row := first_not_finite(column)) is not None:
            raise DataError(f"{self.path}: {name} must hold numbers, got {not_finite_text(column[row])} in row {row}")
        return column

    def _weights(self, arrays: Mapping[str, Array], rows: Mapping[str, Array], names: ArchiveNames) -> dict[str, Array]:
        """The weights of each split that has some."""
        if self.weights is not None and "train" not in names.weights:
            raise DataError(f"{self.path} must hold an array {self.weights} for data.weights, got {', '.join(arrays)}")
        found = {}
        for split, name in names.weights.items():
            if split not in rows:
                continue
            found[split] = self._number_column(arrays[name], name, len(rows[split]))
            if found[split].ndim > 1 or (found[split] < 0).any():
                raise DataError(f"{self.path}: {name} must hold one weight of at least 0 per sample")
        return found

    def _y(self, arrays: Mapping[str, Array], name: str) -> Array:
        if name not in arrays:
            raise DataError(
                f"{self.path} must hold an array {name} for data.class_mode={self.class_mode}, got "
                f"{', '.join(arrays)}; for data without labels set data.class_mode=null or input"
            )
        return arrays[name]

    def _classes(self, arrays: Mapping[str, Array], name: str, num_samples: int) -> Array:
        values = _class_column(self._y(arrays, name))
        got = f"shape {arrays[name].shape} of {arrays[name].dtype}"
        if values is not None and len(values) != num_samples:
            raise DataError(f"{self.path}: {name} must have a row for each of {num_samples:,} samples, got {got}")
        if values is None:
            modes = "data.class_mode=raw predicts numbers, and null leaves them out"
            if _is_marks(self._y(arrays, name)):
                modes = "data.class_mode=multi_label reads a 0 or 1 for each class, and raw predicts numbers"
            raise DataError(
                f"{self.path}: {name} must hold one class per sample, of shape ({num_samples},), or one-hot rows; got "
                f"{got}; {modes}"
            )
        return values


def _class_column(values: Array) -> Array | None:
    """One class per sample, shape `(n,)`, from class numbers, names or one-hot rows; None for other values."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and values.dtype.kind in "bUS":
        return values.astype(str) if values.dtype.kind == "S" else values
    if _is_one_hot(values):
        codes: Array = np.argmax(values, axis=1)
        return codes
    if values.ndim == 1 and values.dtype.kind in "iuf" and bool((values == np.rint(values)).all()):
        return values.astype(np.int64)
    return None


def _is_marks(values: Array) -> bool:
    """Whether there is a row for each sample, and a 0 or 1 in it for each class."""
    return values.ndim == 2 and values.dtype.kind in "iubf" and bool(np.isin(values, (0, 1)).all())


def _is_one_hot(values: Array) -> bool:
    return _is_marks(values) and values.shape[1] > 1 and bool((values.sum(axis=1) == 1).all())


def _sample_spec(rows: Array) -> str:
    return str(ArraySpec(rows.shape[1:], rows.dtype))
