"""From a configuration and a source to a loader, and what loaders need."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import DataError
from runner.loaders.cache import with_cache
from runner.loaders.cache_memory import memory_bytes
from runner.loaders.loader import Loader
from runner.plan import Plan
from runner.settings import Settings
from runner.sources.data import Dataset


def open_loader(config: Settings, dataset: Dataset, split: str, *, training: bool = False) -> Loader:
    """The loader of one split; only for training are samples shuffled, or the last, smaller batch left out.

    Raises `DataError` if the split has too few samples for a batch.
    """
    settings = config.loader.normalised()
    source = with_cache(dataset.splits[split], settings, config.data.array_settings())
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
    """Bytes the loaders of these splits hold together, and their caches in memory."""
    loader, spec = config.loader.normalised(), dataset.spec
    sizes = [len(dataset.splits[split]) for split in splits]
    cached = sum(memory_bytes(spec, size) for size in sizes) if loader.cache == "memory" else 0
    return sum(loader.num_bytes(spec, size) for size in sizes) + cached
