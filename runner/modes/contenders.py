"""The loaders worth comparing on a machine, and how each is typed."""

from __future__ import annotations

from collections.abc import Iterator

from runner.loaders.directory_flow import DirectoryFlow
from runner.loaders.generator import Generator
from runner.loaders.in_memory import InMemory
from runner.loaders.sequence import Sequence
from runner.loaders.settings import LoaderKeys, LoaderSettings


def contenders(asked: LoaderKeys, processors: int, *, files: bool, cacheable: bool) -> tuple[LoaderSettings, ...]:
    """Every strategy, workers in powers of two up to `processors`, and the caches; what was asked for as well.

    All make the batches that `asked` makes. With `files` the samples are a file each; what lies in memory already is
    not `cacheable`.
    """
    keys = {name: getattr(asked, name) for name in LoaderKeys.model_fields}
    keys |= {"cache": "none", "use_multiprocessing": False}
    fully = keys | {"workers": processors}
    listed: list[LoaderSettings] = [Generator(**keys)]
    listed += [Sequence(**keys | {"workers": count}) for count in _powers(processors)]
    listed += [Sequence(**fully | {"use_multiprocessing": True})]
    listed += [DirectoryFlow(**fully)] if files else []
    listed += [InMemory(**fully)]
    listed += [Sequence(**fully | {"cache": "memory"})] if cacheable else []
    listed += [Sequence(**fully | {"cache": "disk"})] if cacheable and files else []
    listed += [asked] if isinstance(asked, LoaderSettings) else []
    by_line = {override_line(settings): settings.normalised() for settings in listed}
    return tuple(by_line.values())


def holds_all(settings: LoaderSettings) -> bool:
    """Whether a loader has all samples in memory once the first epoch is over."""
    return settings.kind == "in_memory" or settings.cache == "memory"


def override_line(settings: LoaderSettings) -> str:
    """What to type for these settings: `loader=sequence loader.workers=2`; of keys with an effect, all but defaults."""
    used = settings.normalised()
    keys = used.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
    if "workers" not in used.unused:
        keys = {"workers": used.workers, **keys}
    return " ".join((f"loader={used.kind}", *(f"loader.{name}={_typed(value)}" for name, value in keys.items())))


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _powers(most: int) -> Iterator[int]:
    """1, 2, 4, … and `most`."""
    count = 1
    while count < most:
        yield count
        count *= 2
    yield most
