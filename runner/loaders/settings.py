"""Settings of loaders. Every kind accepts every key, so that a sweep can combine them with every strategy."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.component import Component, Count, Folder, PositiveInt
from runner.fields import SampleSpec

if TYPE_CHECKING:
    from runner.data.source import Source
    from runner.loaders.loader import Loader
    from runner.loaders.plan import Plan
    from runner.transforms.transform import Transforms

IN_FLIGHT = 4
"""Batches that the framework may hold: the one in the step, and those it takes in advance."""


class LoaderKeys(Component):
    """Keys of every loader, and of `auto`, which chooses one."""

    batch_size: PositiveInt = 32
    """Samples per training step."""

    max_queue_size: PositiveInt = 10
    """Most batches to read ahead of the model."""

    shuffle: bool = True
    """Whether training takes the samples in a new order every epoch."""

    drop_remainder: bool = False
    """Whether a training epoch skips its last batch if it is smaller."""

    order: Literal["random", "blocks"] = "random"
    """The order of an epoch: any sample anywhere, or block by block through large files, for disks that seek slowly."""

    block_mb: float = Field(default=32.0, gt=0)
    """MiB of a file to read at once with order=blocks: 32 for a spinning disk, 8 for an object store."""

    window_mb: float = Field(default=1024.0, gt=0)
    """MiB of blocks whose samples are mixed with order=blocks; two such windows are in memory."""

    balance: Literal["classes"] | None = None
    """classes: training draws each class as often as every other, small ones several times per epoch. Null: each sample
    once per epoch. Predicted probabilities are then not those of the natural mix of classes."""

    draw_by: str | None = None
    """The column of data.manifest whose numbers say how often training draws each sample, relative to the others; an
    epoch has as many draws as samples. Null: each sample once per epoch."""

    timeout_seconds: float = Field(default=60.0, gt=0)
    """Longest time to read one batch, or a sample before the first batch, until the run ends with an error."""

    fetch_ahead: Count | Literal["auto"] = "auto"
    """Reads of storage at once, before workers decode what they fetch; for storage that answers slowly, such as a
    network. 0: each worker fetches what it decodes; auto: as many as the measured time of a read asks for."""

    cache: Literal["none", "memory", "disk"] = "none"
    """Where to keep decoded samples after the first read: nowhere, in memory, or on disk for later runs too."""

    cache_dir: Folder = Path("outputs/cache")
    """The folder of `cache=disk`; delete it at any time. A run adds at most half of the free disk space."""

    @model_validator(mode="after")
    def _draws_are_possible(self) -> Self:
        if self.balance is not None and self.draw_by is not None:
            raise ValueError(
                f"balance must be null with draw_by, got {self.balance} and {self.draw_by!r}; both say how often a "
                "sample is drawn: leave one of them out"
            )
        key = "balance" if self.balance is not None else "draw_by"
        value = self.balance or self.draw_by
        if value is not None and not self.shuffle:
            raise ValueError(
                f"{key} must be null with shuffle=false, got {value}; it draws in an order of its own: set shuffle=true"
            )
        if value is not None and self.order == "blocks":
            raise ValueError(
                f"{key} must be null with order=blocks, got {value}; a block is read for all of its samples, each "
                "once: set order=random"
            )
        return self


class Bench(Component):
    """How `mode=bench` measures loaders."""

    seconds: Annotated[float, Field(gt=0)] = 2.0
    """Seconds that each loader is timed for after its warm-up, on as many samples as one thread reads in that time."""


class LoaderSettings(LoaderKeys):
    """Settings of one strategy. Strategies differ in when, where and by which worker samples are read."""

    kind: str
    """The strategy."""

    workers: Count = 4
    """Threads or processes that read samples; 0 reads in the caller's thread."""

    use_multiprocessing: bool = False
    """Whether the workers are processes; threads are faster unless user code holds the GIL."""

    unused: ClassVar[tuple[str, ...]] = ()
    """Keys that this kind accepts and does not use."""

    def normalised(self) -> Self:
        """These settings with every key without an effect at its default, so that equal runs have equal settings."""
        defaults = {name: type(self).model_fields[name].default for name in self.idle_keys()}
        return self.model_copy(update=defaults)

    def idle_keys(self) -> tuple[str, ...]:
        """Keys without an effect in these settings."""
        in_caller = ("use_multiprocessing", "max_queue_size", "fetch_ahead") if self.workers == 0 else ()
        not_on_disk = () if self.cache == "disk" else ("cache_dir",)
        with_order = ("fetch_ahead",) if self.order == "blocks" else ("block_mb", "window_mb")
        return tuple(dict.fromkeys((*self.unused, *in_caller, *not_on_disk, *with_order)))

    def num_bytes(self, spec: SampleSpec, num_samples: int, read: SampleSpec | None = None) -> int:
        """Bytes of memory that a loader of `num_samples` samples takes, without the framework's own.

        `spec` is a sample in a batch; `read` is a sample of the source, if transforms change it. Streaming loaders take
        the batches that are read ahead and those that the framework holds, and as many bytes again as fetched ahead.
        """
        ahead = self.max_queue_size if self.workers else 0
        ahead *= 2 if isinstance(self.fetch_ahead, int) and self.fetch_ahead else 1
        return (ahead + IN_FLIGHT) * min(self.batch_size, num_samples) * spec.num_bytes

    def window_bytes(self, source: Source) -> int:
        """Bytes of the windows that a loader of `source` holds with order=blocks; at most, before the blocks are cut.

        Raises `DataError` if the samples do not lie in large files.
        """
        if self.order != "blocks":
            return 0
        from runner.loaders.blocks import most_window_bytes

        return most_window_bytes(source, block_mb=self.block_mb, window_mb=self.window_mb)

    @abstractmethod
    def build(self, source: Source, plan: Plan, transforms: Transforms = ()) -> Loader:
        """A loader that carries out `plan` over `source` and applies `transforms` to each sample.

        Raises `ConfigurationError` if this kind cannot load from such a source.
        """
