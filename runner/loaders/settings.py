"""The keys every loader accepts, so that a sweep can cross them with every strategy."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field

from runner.batch import ArraySpec
from runner.component import Component, Count, Folder, PositiveInt
from runner.data.source import Source
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.transforms.transform import Changes

IN_FLIGHT = 4
"""Batches the framework may hold at a time: the one in the step, and those it has taken in advance."""


class LoaderKeys(Component):
    """What every loader accepts, and `auto` as well, which only chooses one."""

    batch_size: PositiveInt = 32
    """Samples per training step."""

    max_queue_size: PositiveInt = 10
    """Batches read ahead of the model, at most."""

    shuffle: bool = True
    """Whether training visits the samples in a new order every epoch."""

    drop_remainder: bool = False
    """Whether an epoch of training leaves out its last, smaller batch."""

    timeout_seconds: float = Field(default=60.0, gt=0)
    """How long a worker may take over one batch before the run ends with an error."""

    cache: Literal["none", "memory", "disk"] = "none"
    """Where decoded samples are kept after they were first read: nowhere, in memory, or on disk for later runs too."""

    cache_dir: Folder = Path("outputs/cache")
    """The folder of `cache=disk`, which may be deleted at any time; a run adds at most half of what is free there."""


class LoaderSettings(LoaderKeys):
    """How batches are made. Strategies differ in when, where and by whom samples are read."""

    kind: str
    """Which strategy."""

    workers: Count = 4
    """Threads or processes that read samples; 0 reads in the caller's thread."""

    use_multiprocessing: bool = False
    """Whether the workers are processes; threads are faster unless user code holds the GIL."""

    unused: ClassVar[tuple[str, ...]] = ()
    """Keys this kind accepts and does not use."""

    def normalised(self) -> Self:
        """These settings with every key that has no effect at its default, so that equal runs look equal."""
        defaults = {name: type(self).model_fields[name].default for name in self.idle_keys()}
        return self.model_copy(update=defaults)

    def idle_keys(self) -> tuple[str, ...]:
        """The keys that have no effect as things stand."""
        in_caller = ("use_multiprocessing", "max_queue_size", "timeout_seconds") if self.workers == 0 else ()
        not_on_disk = () if self.cache == "disk" else ("cache_dir",)
        return tuple(dict.fromkeys((*self.unused, *in_caller, *not_on_disk)))

    def num_bytes(self, spec: ArraySpec, num_samples: int, read: ArraySpec | None = None) -> int:
        """Bytes of memory a loader of these settings holds for `num_samples` samples, beside the framework's.

        `spec` is what stands in a batch, `read` what the source gives where that is something else. Streaming: the
        batches read ahead, and those the model has not let go of.
        """
        ahead = self.max_queue_size if self.workers else 0
        return (ahead + IN_FLIGHT) * min(self.batch_size, num_samples) * spec.num_bytes

    @abstractmethod
    def build(self, source: Source, plan: Plan, changes: Changes = ()) -> Loader:
        """A loader that carries `plan` out over `source`, and makes `changes` to each sample.

        Raises `ConfigurationError` if this kind cannot load from such a source.
        """
