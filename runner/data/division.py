"""Division: the settings of how samples are divided into splits, by fraction, and how many of them are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import NonNegativeInt, model_validator

from runner.batch import SPLITS
from runner.component import Component, Fraction, PositiveInt
from runner.data.shares import Shares
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

    limit: PositiveInt | None = None
    """Maximum number of samples per split, for a quick try; a hash of the ids selects them. Null: all."""

    @model_validator(mode="after")
    def _leaves_training_samples(self) -> Self:
        if self.validation_split + self.test_split >= 1:
            raise ValueError(
                f"validation_split + test_split must be below 1, got {self.validation_split} + {self.test_split}; "
                "no samples would be left to train on"
            )
        return self

    def divided(self, sources: Mapping[str, Source]) -> tuple[dict[str, Source], tuple[str, ...]]:
        """The samples of each split that has some, in the order train, validation, test; and notes on them.

        A split that `sources` lacks is held out from `train` by its fraction. Raises `DataError` if nothing is left to
        train on.
        """
        pool, shares = sources["train"], {"validation": self.validation_split, "test": self.test_split}
        missing = {split: 0.0 if split in sources else share for split, share in shares.items()}
        divided = Divided({})
        if any(missing.values()):  # else the ids of perhaps millions of samples need no hash
            divided = divide(pool.ids, Shares(**missing), self.split_seed, self._strata(pool))
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
