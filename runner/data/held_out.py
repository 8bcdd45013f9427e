"""Samples held out of training for the other splits, as the settings of the division say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from runner.batch import SPLITS
from runner.data.division import Division
from runner.data.groups import Groups, refuse_several_splits
from runner.data.shares import Fold, Shares
from runner.data.source import Source
from runner.data.splits import Divided, choose, divide
from runner.data.strata import Strata, strata_of
from runner.data.views import select
from runner.errors import DataError
from runner.messages import plural


def divide_sources(
    settings: Division, sources: Mapping[str, Source], groups: Mapping[str, Groups] | None = None
) -> tuple[dict[str, Source], tuple[str, ...]]:
    """The samples of each split that has some, in the order train, validation, test; and notes on them.

    A split that `sources` lacks is held out from `train` by its fraction. The `groups` of each source replace those
    of `group_pattern`. Raises `DataError` if nothing is left to train on, or for groups in several splits.
    """
    pool, shares = sources["train"], {"validation": settings.validation_split, "test": settings.test_split}
    missing = {split: 0.0 if split in sources else share for split, share in shares.items()}
    fold = None if settings.folds is None or settings.fold is None else Fold(settings.fold, settings.folds)
    if fold is not None:
        missing["validation"] = 0.0
        if "validation" in sources:
            raise DataError(
                f"data.folds={settings.folds} divides the samples to train on, but the data has a validation split of "
                "its own; leave data.folds and data.fold out"
            )
    groups, divided = _groups(settings, sources) if groups is None else groups, Divided({})
    refuse_several_splits(groups)
    if any(missing.values()) or fold:  # else the ids of perhaps millions of samples need no hash
        _refuse_one_group(groups.get("train"), missing)
        divided = divide(
            pool.ids, Shares(**missing, fold=fold), settings.split_seed, _strata(settings, pool), groups.get("train")
        )
    held_out = {split: select(pool, indices) for split, indices in divided.parts.items() if len(indices)}
    if not len(held_out.get("train", () if divided.parts else pool)):
        shares_text = ", ".join(f"data.{split}_split={share}" for split, share in missing.items())
        samples = plural(len(pool), "sample")
        raise DataError(f"no samples are left to train on: {shares_text} of {samples}; lower the shares")
    splits = {**sources, **held_out}
    ordered = {split: splits[split] for split in SPLITS if split in splits and len(splits[split])}
    limited = {split: limit_source(settings, source) for split, source in ordered.items()}
    notes = [
        *_notes_on_shares(missing, divided, len(pool)),
        *_notes_on_groups(missing, divided, groups.get("train")),
        *(
            f"the {split} data holds no samples: there is no {split} split"
            for split, source in sources.items()
            if not len(source)
        ),
        *(
            f"data.limit={settings.limit} leaves {len(limited[split]):,} of {len(source):,} {split} samples"
            for split, source in ordered.items()
            if len(limited[split]) < len(source)
        ),
    ]
    return limited, tuple(notes)


def _strata(settings: Division, source: Source) -> Strata | None:
    return strata_of(source.labels) if settings.stratify else None


def _groups(settings: Division, sources: Mapping[str, Source]) -> dict[str, Groups]:
    if settings.group_pattern is None:
        return {}
    return {split: Groups.matched(settings.group_pattern, source.ids) for split, source in sources.items()}


def limit_source(settings: Division, source: Source) -> Source:
    """At most `data.limit` samples of `source`, chosen by a hash of their ids."""
    if settings.limit is None or len(source) <= settings.limit:
        return source
    return select(source, choose(source.ids, settings.limit, settings.split_seed, _strata(settings, source)))


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
