"""Division: the settings of how samples are divided into splits, by fraction, and how many of them are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from runner.batch import SPLITS
from runner.component import Component, Fraction, PositiveInt
from runner.data.groups import Groups, refuse_several_splits
from runner.data.shares import Fold, Shares
from runner.data.source import Source
from runner.data.splits import Divided, choose, divide
from runner.data.strata import Strata, strata_of
from runner.data.views import select
from runner.errors import DataError
from runner.messages import plural


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

    def divided(
        self, sources: Mapping[str, Source], groups: Mapping[str, Groups] | None = None
    ) -> tuple[dict[str, Source], tuple[str, ...]]:
        """The samples of each split that has some, in the order train, validation, test; and notes on them.

        A split that `sources` lacks is held out from `train` by its fraction. The `groups` of each source replace those
        of `group_pattern`. Raises `DataError` if nothing is left to train on, or for groups in several splits.
        """
        pool, shares = sources["train"], {"validation": self.validation_split, "test": self.test_split}
        missing = {split: 0.0 if split in sources else share for split, share in shares.items()}
        fold = None if self.folds is None or self.fold is None else Fold(self.fold, self.folds)
        if fold is not None:
            missing["validation"] = 0.0
            if "validation" in sources:
                raise DataError(
                    f"data.folds={self.folds} divides the samples to train on, but the data has a validation split of "
                    "its own; leave data.folds and data.fold out"
                )
        groups, divided = self._groups(sources) if groups is None else groups, Divided({})
        refuse_several_splits(groups)
        if any(missing.values()) or fold:  # else the ids of perhaps millions of samples need no hash
            _refuse_one_group(groups.get("train"), missing)
            divided = divide(
                pool.ids, Shares(**missing, fold=fold), self.split_seed, self._strata(pool), groups.get("train")
            )
        held_out = {split: select(pool, indices) for split, indices in divided.parts.items() if len(indices)}
        if not len(held_out.get("train", () if divided.parts else pool)):
            shares_text = ", ".join(f"data.{split}_split={share}" for split, share in missing.items())
            samples = plural(len(pool), "sample")
            raise DataError(f"no samples are left to train on: {shares_text} of {samples}; lower the shares")
        splits = {**sources, **held_out}
        ordered = {split: splits[split] for split in SPLITS if split in splits and len(splits[split])}
        limited = {split: self._limited(source) for split, source in ordered.items()}
        notes = [
            *_notes_on_shares(missing, divided, len(pool)),
            *_notes_on_groups(missing, divided, groups.get("train")),
            *(
                f"the {split} data holds no samples: there is no {split} split"
                for split, source in sources.items()
                if not len(source)
            ),
            *(
                f"data.limit={self.limit} leaves {len(limited[split]):,} of {len(source):,} {split} samples"
                for split, source in ordered.items()
                if len(limited[split]) < len(source)
            ),
        ]
        return limited, tuple(notes)

    def _strata(self, source: Source) -> Strata | None:
        return strata_of(source.labels) if self.stratify else None

    def _groups(self, sources: Mapping[str, Source]) -> dict[str, Groups]:
        if self.group_pattern is None:
            return {}
        return {split: Groups.matched(self.group_pattern, source.ids) for split, source in sources.items()}

    def _limited(self, source: Source) -> Source:
        if self.limit is None or len(source) <= self.limit:
            return source
        return select(source, choose(source.ids, self.limit, self.split_seed, self._strata(source)))


def _notes_on_shares(shares: Mapping[str, float], divided: Divided, num_samples: int) -> Iterator[str]:
    """Notes on splits that get nothing of their share, or more than it."""
    for split, share in shares.items():
        found, selects = len(divided.parts.get(split, ())), f"data.{split}_split={share} selects"
        if share and not found:
            yield f"{selects} none of {plural(num_samples, 'sample')}: there is no {split} split"
        if divided.raised.get(split) and found >= share * num_samples + 1:
            least = 3 if split == "test" and shares["validation"] else 2
            yield (
                f"{selects} {found / num_samples:.3g} of the samples, {found:,} of {num_samples:,}: each class of at "
                f"least {least} samples has one in {split}"
            )


def _refuse_one_group(groups: Groups | None, shares: Mapping[str, float]) -> None:
    """Raise `DataError` if all samples are of one group, which cannot be divided."""
    if groups is not None and len(groups.names) == 1:
        asked = " and ".join(f"data.{split}_split={share}" for split, share in shares.items() if share)
        raise DataError(
            f"{asked} cannot divide {plural(len(groups.codes), 'sample')} of one group, {groups.names[0]!r}; name the "
            "groups in another way, or leave them out"
        )


def _notes_on_groups(shares: Mapping[str, float], divided: Divided, groups: Groups | None) -> Iterator[str]:
    """Notes on what groups, which stay whole, make of the shares."""
    if groups is None or not divided.parts:
        return
    if len(groups.names) == len(groups.codes):
        yield f"each of {plural(len(groups.codes), 'sample')} is a group of its own: groups keep nothing together"
        return
    for split, share in shares.items():
        if share and len(part := divided.parts[split]):
            found, num_groups = len(part) / len(groups.codes), len(np.unique(groups.codes[part]))
            total = plural(len(groups.names), "group")
            yield f"data.{split}_split={share} selects {found:.3g} of the samples, {num_groups:,} of {total}"
