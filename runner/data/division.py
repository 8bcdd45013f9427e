"""Division: the settings of how samples are divided into splits and how many of them are kept; names of splits."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from runner.component import Component, Fraction, PositiveInt

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "development"),
    "test": ("test", "testing"),
}
"""Names of each split in folders, tables, partitions and arrays, in any case; the first is the split's own."""

SPLIT_NAMES = {name: split for split, names in NAMES.items() for name in names}
"""Splits by their names, in lower case."""

EXPECTED = "train, validation (or val) and test"


def split_of(name: object) -> str | None:
    """The split that `name` means; None if it means none.

    >>> split_of("Valid"), split_of("dev"), split_of("cats")
    ('validation', 'validation', None)
    """
    return SPLIT_NAMES.get(str(name).strip().casefold())


class Division(Component):
    """Keys of what each split holds."""

    validation_split: Fraction = 0.2
    """Share of the samples to hold out for validation, if the data has no validation split of its own."""

    test_split: Fraction = 0.0
    """Share of the samples to hold out for the test, if the data has no test split of its own."""

    split_seed: NonNegativeInt = 0
    """Selects the held-out samples; independent of `seed`."""

    stratify: bool = True
    """Whether each class is divided by itself, so that each split has its share of it. False: no sample ever moves to
    another split when others are added, and a class may have no validation sample."""

    folds: Annotated[int, Field(ge=2)] | None = None
    """Number of folds of all samples that are not for the test; each fold validates in one run, in place of
    validation_split. Null: no folds."""

    fold: NonNegativeInt | None = None
    """The fold that validates in this run, from 0 on; sweep over all of them."""

    group_pattern: str | None = None
    """A regular expression whose first group, in parentheses, names the group of a sample in its id; '^([^_]+)_' for
    ids like p1_2.png. All samples of a group, such as a patient, are in one split. Null: no groups."""

    limit: PositiveInt | None = None
    """Maximum number of samples per split, for a quick try; a hash of the ids selects them. Null: all."""

    @model_validator(mode="after")
    def _leaves_training_samples(self) -> Self:
        if self.folds is None and self.validation_split + self.test_split >= 1:
            raise ValueError(
                f"validation_split + test_split must be below 1, got {self.validation_split} + {self.test_split}; "
                "no samples would be left to train on"
            )
        return self

    @model_validator(mode="after")
    def _fold_is_one_of_the_folds(self) -> Self:
        if self.fold is None and self.folds is None and not self._folds_are_given:
            return self
        if self.folds is None and not self._folds_are_given:
            raise ValueError(f"folds must be the number of folds with fold={self.fold}, got null; give data.folds=5")
        if self.fold is None:
            raise ValueError(
                "fold must be the number of the fold that validates, got null; give data.fold=0, or sweep over all "
                "with -m data.fold=0,1,2,…"
            )
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold must be from 0 to {self.folds - 1} with folds={self.folds}, got {self.fold}")
        if self.validation_split != type(self).model_fields["validation_split"].default:
            raise ValueError(
                f"validation_split must be left out with folds, got {self.validation_split}: the fold is the "
                "validation split"
            )
        return self

    @property
    def _folds_are_given(self) -> bool:
        """Whether the data says which fold each sample is in."""
        return False

    def undivided(self) -> Self:
        """The same settings, which hold nothing out."""
        return self.model_copy(update={"validation_split": 0.0, "test_split": 0.0, "folds": None, "fold": None})

    @model_validator(mode="after")
    def _pattern_has_a_group(self) -> Self:
        if self.group_pattern is None:
            return self
        try:
            num_groups = re.compile(self.group_pattern).groups
        except re.error as error:
            raise ValueError(
                f"group_pattern must be a regular expression, such as '^([^_]+)_', got {self.group_pattern!r}: {error}"
            ) from error
        if not num_groups:
            raise ValueError(
                "group_pattern must have parentheses around the name of the group, as in '^([^_]+)_', got "
                f"{self.group_pattern!r}"
            )
        return self
