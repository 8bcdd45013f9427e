"""The keys of a table that lists samples: its files, and what its columns hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from pydantic import model_validator

from runner.component import File, Folder, Names
from runner.data.division import Division
from runner.data.manifest import PARQUET, TEXTS
from runner.data.table import ColumnMode, ColumnModes
from runner.messages import yaml_text

OUTPUT_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""Names that Keras and TensorFlow accept for one of several outputs."""

DEFAULT_LABEL = "label"
"""The column to learn if none is set."""

OTHERS = ("validation", "test")
"""The splits that may have a table of their own."""

ONE_CLASS = ("categorical", "sparse", "binary")
"""Modes with one class per cell."""


class TableSettings(Division):
    """Keys of tables and their columns."""

    manifest: File
    """The table, x.csv or x.parquet."""

    validation_manifest: File | None = None
    """Another table like `manifest`, all of whose rows are for validation; null: there is none."""

    test_manifest: File | None = None
    """Another table like `manifest`, all of whose rows are for the test; null: there is none."""

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

    classes: Names | None = None
    """The classes and their order, of one column with one class per cell; rows of other classes are left out. Null: all
    classes of the training rows, by size if all are numbers, else by alphabet."""

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
        elif self.has_labels and self.label_columns == ():
            raise ValueError(
                f"label_columns must name the columns to learn for class_mode={self.class_mode}, got []; "
                "for data without labels set class_mode=null"
            )
        columns = self.target_columns
        if len(set(columns)) < len(columns):
            raise ValueError(f"label_columns must name each column once, got [{', '.join(columns)}]")
        invalid = [name for name in columns if not OUTPUT_NAME.fullmatch(name)]
        if self.several_heads and invalid:
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
        for key, file in self.tables():
            if file.suffix.lower() not in (*TEXTS, PARQUET):
                raise ValueError(f"{key} must end in {', '.join(TEXTS)} or {PARQUET}, got {file}; save it as .csv")
            if self.root is None and file.parent != self.manifest.parent:
                raise ValueError(
                    f"{key} must be in the folder of manifest, {self.manifest.parent}, which paths are relative to, "
                    f"got {file}; or set root"
                )
        return self

    @model_validator(mode="after")
    def _classes_have_one_column(self) -> Self:
        if self.classes is None:
            return self
        if self.class_mode not in ONE_CLASS or len(self.target_columns) != 1:
            raise ValueError(
                f"classes must be null unless class_mode is {' or '.join(ONE_CLASS)}, for one column; got "
                f"[{', '.join(self.classes)}] with class_mode={yaml_text(self.class_mode)}"
            )
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes must name each class once, got [{', '.join(self.classes)}]")
        return self

    def tables(self) -> Iterator[tuple[str, Path]]:
        """The key of each table, and its file."""
        yield "manifest", self.manifest
        for split in OTHERS:
            if (file := getattr(self, f"{split}_manifest")) is not None:
                yield f"{split}_manifest", file

    @property
    def has_labels(self) -> bool:
        """Whether columns hold labels."""
        return self.class_mode not in (None, "input", "mask")

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns to learn, in order."""
        if not self.has_labels:
            return ()
        return self.label_columns or (tuple(self.class_mode) if isinstance(self.class_mode, dict) else (DEFAULT_LABEL,))

    @property
    def several_heads(self) -> bool:
        """Whether each column is an output of its own; `raw` joins several columns into one."""
        return len(self.target_columns) > 1 and self.class_mode != "raw"

    @property
    def modes(self) -> dict[str, ColumnMode]:
        """The mode of each column to learn."""
        found: dict[str, ColumnMode] = {}
        for name in self.target_columns:
            if isinstance(self.class_mode, dict):
                found[name] = self.class_mode[name]
            elif self.class_mode == "multi_output":
                found[name] = "raw"
            elif self.class_mode is not None and self.class_mode != "input" and self.class_mode != "mask":
                found[name] = self.class_mode
        return found
