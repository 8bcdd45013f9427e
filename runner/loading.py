"""From a configuration and a source to a loader, and what loaders need."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import DataError
from runner.loaders.loader import Loader
from runner.plan import Plan
from runner.settings import Settings
from runner.sources.data import Dataset


def open_loader(config: Settings, dataset: Dataset, split: str, *, training: bool = False) -> Loader:
    """The loader of one split; only for training are samples shuffled, or the last, smaller batch left out.

    Raises `DataError` if the split has too few samples for a batch.
    """
    settings, source = config.loader.normalised(), dataset.splits[split]
    try:
        plan = Plan(
            num_samples=len(source),
            batch_size=settings.batch_size,
            seed=config.seed,
            shuffle=settings.shuffle and training,
            drop_remainder=settings.drop_remainder and training,
        )
    except ValueError as error:
        raise DataError(f"{split}: {error}") from error
    return settings.build(source, plan)


def needed_bytes(config: Settings, dataset: Dataset, splits: Sequence[str]) -> int:
    """Bytes the loaders of these splits hold together."""
    loader = config.loader.normalised()
    return sum(loader.num_bytes(dataset.spec, len(dataset.splits[split])) for split in splits)
