"""`data=dataframe`: your own image files, listed with their labels in a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from runner.batch import Array, Indices
from runner.component import File, Folder, Names, Package, is_file, is_folder
from runner.data.dataset import Data, Dataset, relabel_splits
from runner.data.file_names import as_on_disk, same_files
from runner.data.groups import Groups
from runner.data.ids import CHUNK, Ids, rows_of
from runner.data.labels import NO_LABELS, Head, Known, Labels
from runner.data.manifest import PARQUET, Manifest, read_manifest
from runner.data.masks import FIRST_MASKS, MaskedImages, MaskFileSettings, mask_labels
from runner.data.places import FilePlaces
from runner.data.stored_samples import file_samples
from runner.data.table import ColumnMode, ColumnModes, TargetColumn, TargetReader, numbers
from runner.data.table_rows import folds, groups, splits
from runner.data.views import select
from runner.errors import DataError
from runner.images import ImageSettings
from runner.messages import first_few, yaml_text
from runner.place import Place

OUTPUT_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""Names that Keras and TensorFlow accept for one of several outputs."""

DEFAULT_LABEL = "label"
"""The column to learn if none is set."""


class DataFrame(Data, ImageSettings, MaskFileSettings):
    """Image files listed in a CSV or Parquet table, with labels, weights and splits in its columns."""

    kind: Literal["dataframe"] = "dataframe"

    manifest: File
    """The table, x.csv or x.parquet."""

    root: Folder | None = None
    """The folder that paths are relative to; null: the folder of the table."""

    path_column: str = "path"
    """The column with the path of each image, which is also its id."""

    label_columns: Names | None = None
    """The columns to learn; several columns become outputs of the same names. Null: the columns of a `class_mode`
    mapping, otherwise `label`."""

    class_mode: ColumnModes = "categorical"
    """Form of `y`: categorical (one-hot), sparse (class numbers), binary, multi_label (0 or 1 per class; cells like
    cat|dog), raw (numbers), multi_output (numbers, one output per column), mask (a class for each pixel, in the image
    files of mask_column), input (the image), null (nothing); or a mapping of columns to modes, {bi: binary, multi:
    sparse}."""

    mask_column: str | None = None
    """The column with the path of each image's mask, for class_mode=mask."""

    weight_column: str | None = None
    """The column with the weight of each sample in the loss; null: equal weights."""

    split_column: str | None = None
    """The column with train, validation (or val) or test; null: split by validation_split and test_split."""

    fold_column: str | None = None
    """The column with the number of each sample's fold; data.fold validates, in place of validation_split. Null: no
    such column."""

    group_column: str | None = None
    """The column with the group of each sample, such as a patient: all of a group's samples are in one split. Null: no
    groups."""

    @model_validator(mode="after")
    def _columns_fit_the_mode(self) -> Self:
        if isinstance(self.class_mode, dict):
            self._check_mapping(self.class_mode)
        elif self._has_labels and self.label_columns == ():
            raise ValueError(
                f"label_columns must name the columns to learn for class_mode={self.class_mode}, got []; "
                "for data without labels set class_mode=null"
            )
        columns = self._target_columns
        if len(set(columns)) < len(columns):
            raise ValueError(f"label_columns must name each column once, got [{', '.join(columns)}]")
        invalid = [name for name in columns if not OUTPUT_NAME.fullmatch(name)]
        if self._several_heads and invalid:
            raise ValueError(
                "several label_columns name the model's outputs and must consist of letters a to z, digits, _, . and "
                f"-, got {', '.join(map(repr, invalid))}; rename the columns"
            )
        if self.class_mode == "mask" and (self.mask_column is None or self.label_columns is not None):
            wrong = (
                "mask_column must name the column of the masks"
                if self.mask_column is None
                else "label_columns must be null"
            )
            raise ValueError(
                f"{wrong} with class_mode=mask, got {yaml_text(self.label_columns and list(self.label_columns))}"
            )
        if self.fold_column is not None and (self.folds is not None or self.test_split):
            wrong = "folds must be null" if self.folds is not None else "test_split must be 0"
            raise ValueError(
                f"{wrong} with fold_column={self.fold_column}, which divides the samples; name the samples to test on "
                "in split_column"
            )
        if self.group_column is not None and self.group_pattern is not None:
            raise ValueError(f"group_pattern must be null with group_column={self.group_column}; give one of them")
        if self.class_mode is None and self.weight_column is not None:
            raise ValueError(f"weight_column must be null with class_mode=null, got {self.weight_column!r}")
        return self

    def _check_mapping(self, modes: Mapping[str, ColumnMode]) -> None:
        if not modes:
            raise ValueError(
                "class_mode must map columns to modes, got {}; for data without labels set class_mode=null"
            )
        if self.label_columns is not None and set(self.label_columns) != set(modes):
            raise ValueError(
                "label_columns must be null or the columns of the class_mode mapping, "
                f"[{', '.join(modes)}]; got [{', '.join(self.label_columns)}]"
            )

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        suffix = self.manifest.suffix.lower()
        if suffix not in (".csv", PARQUET):
            raise ValueError(f"manifest must end in .csv or .parquet, got {self.manifest}")
        return self

    def named_outputs(self) -> tuple[Head, ...]:
        """The heads of several columns, without their classes."""
        return tuple(Head(name, mode) for name, mode in self._modes.items()) if self._several_heads else ()

    def packages(self) -> Iterator[Package]:
        """The package that reads Parquet, if the table is Parquet."""
        if self.manifest.suffix.lower() == PARQUET:
            yield Package(f"data.manifest={self.manifest}", "pyarrow", "parquet", "save the table as .csv")

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Keys whose file or folder does not exist, with its path."""
        if not is_file(self.manifest):
            yield "manifest", self.manifest
        if self.root is not None and not is_folder(self.root):
            yield "root", self.root

    def open(self) -> Dataset:
        """Read the table, and the header of the first training image to learn its bit depth.

        Raises `DataError` with row and column of a cell that cannot be used.
        """
        return self._open({})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; it may have samples of only some of its classes.

        Raises `DataError` if a row has a class that is unknown to the model.
        """
        return relabel_splits(self._open({head.name: head.class_names for head in heads}), heads)

    def array_settings(self) -> Mapping[str, Any]:
        """The settings of the pixels, and of the codes of masks."""
        return {**self.pixel_settings(), **self.mask_settings()}

    @property
    def folder(self) -> Path:
        """The folder that paths are relative to."""
        return self.manifest.parent if self.root is None else self.root

    def draw_weights(self, column: str, ids: Sequence[str]) -> Array:
        """The numbers in `column` of the samples with these ids, read once more from the table."""
        manifest = read_manifest(self.manifest, [self.path_column], [column])
        weights = numbers(manifest, column)
        manifest.refuse(np.flatnonzero(weights < 0), column, "hold a number of at least 0 to draw by (loader.draw_by)")
        drawn = weights[rows_of(ids, self._paths(manifest, self.path_column, "the path of an image"))]
        if not drawn.any():
            raise DataError(
                f"{self.manifest}, column {column!r}, must hold a number above 0 for a training sample, got only 0; "
                "leave loader.draw_by out"
            )
        return drawn

    def _open(self, known: Known) -> Dataset:
        # Imported here because decoders are slow to import and the configuration imports this module.
        from runner.images.fast import FIRST, open_decoder

        manifest = self._read()
        ids, rows = self._ids(manifest), self._rows(manifest)
        if self.class_mode == "mask":
            return self._open_masks(manifest, ids, rows, known)
        targets = self._targets(TargetReader(manifest, rows["train"], known))
        heads = tuple(target.head for target in targets)
        labels = Labels(heads, tuple(target.column for target in targets), self._weights(manifest))
        folder = self.folder
        decoder = open_decoder(self, *(folder / ids[row] for row in rows["train"][:FIRST]))
        sources = {
            split: file_samples(folder, ids.select(members), labels.take(members), decoder)
            for split, members in rows.items()
        }
        return self.dataset(sources, heads, (self.manifest,), self._groups_of(manifest, rows))

    def _open_masks(self, manifest: Manifest, ids: Ids, rows: Mapping[str, Indices], known: Known) -> Dataset:
        from runner.images.fast import FIRST, open_decoder
        from runner.images.mask import MaskDecoder

        folder, masks = self.folder, self._paths(manifest, str(self.mask_column), "the path of a mask")
        decoder = open_decoder(self, *(folder / ids[row] for row in rows["train"][:FIRST]))
        first = [Place(str(folder / masks[row])) for row in rows["train"][:FIRST_MASKS]]
        classes = self.mask_classes(known.get("", ()), lambda: self.first_values(first))
        labels = replace(mask_labels(classes), weights=self._weights(manifest))
        images = file_samples(folder, ids, NO_LABELS, decoder)
        samples = MaskedImages(images, FilePlaces(folder, masks), MaskDecoder(classes, self), labels)
        sources = {split: select(samples, members) for split, members in rows.items()}
        return self.dataset(sources, labels.heads, (self.manifest,), self._groups_of(manifest, rows))

    def _read(self) -> Manifest:
        modes = self._modes
        texts = [name for name, mode in modes.items() if mode != "raw"]
        texts += [self.mask_column] if self.mask_column is not None and self.class_mode == "mask" else []
        texts += filter(None, (self.split_column, self.group_column, self.fold_column))
        raw = [name for name, mode in modes.items() if mode == "raw"]
        weights = [] if self.weight_column is None else [self.weight_column]
        manifest = read_manifest(self.manifest, [self.path_column, *texts], [*raw, *weights])
        if not len(manifest):
            raise DataError(f"{self.manifest} must list samples, got no rows")
        return manifest

    @property
    def _has_labels(self) -> bool:
        return self.class_mode not in (None, "input", "mask")

    @property
    def _target_columns(self) -> tuple[str, ...]:
        """The columns to learn, in order."""
        if not self._has_labels:
            return ()
        return self.label_columns or (tuple(self.class_mode) if isinstance(self.class_mode, dict) else (DEFAULT_LABEL,))

    @property
    def _several_heads(self) -> bool:
        """Whether each column is an output of its own; `raw` joins several columns into one."""
        return len(self._target_columns) > 1 and self.class_mode != "raw"

    @property
    def _modes(self) -> dict[str, ColumnMode]:
        """The mode of each column to learn."""
        modes: dict[str, ColumnMode] = {}
        for name in self._target_columns:
            if isinstance(self.class_mode, dict):
                modes[name] = self.class_mode[name]
            elif self.class_mode == "multi_output":
                modes[name] = "raw"
            elif self.class_mode is not None and self.class_mode != "input" and self.class_mode != "mask":
                modes[name] = self.class_mode
        return modes

    def _targets(self, reader: TargetReader) -> list[TargetColumn]:
        if self.class_mode == "input":
            return [TargetColumn(Head("", "input"), np.empty(0, np.int64))]
        if self.class_mode == "raw" and len(self._target_columns) > 1:
            return [reader.values(self._target_columns)]
        return [
            reader.target(column, mode, name=column if self._several_heads else "")
            for column, mode in self._modes.items()
        ]

    def _paths(self, manifest: Manifest, column: str, what: str) -> Ids:
        """The paths in a column, with the names that files have on disk."""
        cells = manifest.table[column]
        manifest.refuse(np.flatnonzero(cells.isna()), column, f"hold {what}")
        parts = (cells.iloc[row : row + CHUNK].astype(str).tolist() for row in range(0, len(cells), CHUNK))
        ids = Ids(chain.from_iterable(parts))
        if "\0" in ids.text:
            nul = [row for row, name in enumerate(ids) if "\0" in name]
            manifest.refuse(np.array(nul), column, f"hold {what}, without a NUL character")
        return as_on_disk(self.folder, ids)

    def _ids(self, manifest: Manifest) -> Ids:
        ids = self._paths(manifest, self.path_column, "the path of an image")
        if repeated := ids.repeated() or same_files(self.folder, ids):
            raise DataError(
                f"{self.manifest} must list each image once, got {len(repeated):,} in several rows: "
                f"{first_few(repeated[:5], len(repeated))}"
            )
        return ids

    def _rows(self, manifest: Manifest) -> dict[str, Indices]:
        """The rows of each split; all rows are for training if the table has no splits."""
        rows = {"train": np.arange(len(manifest))} if self.split_column is None else splits(manifest, self.split_column)
        if self.fold_column is None:
            return rows
        return {**rows, **folds(manifest, self.fold_column, rows, int(self.fold or 0))}

    @property
    def _folds_are_given(self) -> bool:
        return self.fold_column is not None

    def undivided(self) -> Self:
        """The same settings, which hold nothing out."""
        return super().undivided().model_copy(update={"fold_column": None})

    def _weights(self, manifest: Manifest) -> Array | None:
        if self.weight_column is None:
            return None
        weights = numbers(manifest, self.weight_column)
        manifest.refuse(np.flatnonzero(weights < 0), self.weight_column, "hold a weight of at least 0")
        return weights

    def _groups_of(self, manifest: Manifest, rows: Mapping[str, Indices]) -> dict[str, Groups] | None:
        return None if self.group_column is None else groups(manifest, self.group_column, rows)
