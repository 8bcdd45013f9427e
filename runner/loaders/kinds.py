"""The strategies by name: the settings of `loader=generator`, `sequence`, `in_memory` and `directory_flow`.

Each imports its loader when it builds one: configuration needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from runner.errors import ConfigurationError
from runner.fields import SampleSpec
from runner.loaders.settings import IN_FLIGHT, LoaderSettings

if TYPE_CHECKING:
    from runner.data.source import Source
    from runner.loaders.directory_flow import DirectoryFlowLoader
    from runner.loaders.in_memory import InMemoryLoader
    from runner.loaders.loader import GeneratorLoader
    from runner.loaders.plan import Plan
    from runner.loaders.sequence import SequenceLoader
    from runner.transforms.transform import Transforms


class Generator(LoaderSettings):
    """One Python generator in the training thread: the simplest loader, without workers."""

    kind: Literal["generator"] = "generator"

    unused: ClassVar[tuple[str, ...]] = ("workers", "use_multiprocessing", "max_queue_size", "fetch_ahead")

    def num_bytes(self, spec: SampleSpec, num_samples: int, read: SampleSpec | None = None) -> int:
        """Bytes of the batches that the framework holds."""
        return IN_FLIGHT * min(self.batch_size, num_samples) * spec.num_bytes

    def build(self, source: Source, plan: Plan, transforms: Transforms = ()) -> GeneratorLoader:
        """A loader that reads in the caller's thread."""
        from runner.loaders.loader import GeneratorLoader

        return GeneratorLoader(source, plan, transforms)


class Sequence(LoaderSettings):
    """Workers read batches ahead while the model trains, as with `keras.utils.Sequence`."""

    kind: Literal["sequence"] = "sequence"

    def build(self, source: Source, plan: Plan, transforms: Transforms = ()) -> SequenceLoader:
        """A loader with workers; they start at the first batch."""
        from runner.loaders.sequence import SequenceLoader

        return SequenceLoader(source, plan, self, transforms)


class InMemory(LoaderSettings):
    """All samples are read once, in parallel, and stay in memory."""

    kind: Literal["in_memory"] = "in_memory"

    unused: ClassVar[tuple[str, ...]] = ("max_queue_size",)

    def idle_keys(self) -> tuple[str, ...]:
        """As for every loader, and a memory cache: all samples are in memory anyway."""
        return (*super().idle_keys(), *(("cache",) if self.cache == "memory" else ()))

    def num_bytes(self, spec: SampleSpec, num_samples: int, read: SampleSpec | None = None) -> int:
        """Bytes of all samples, and of the blocks while filling or the framework's batches later."""
        from runner.loaders.in_memory import BATCHES_AHEAD, filling_samples
        from runner.loaders.workers import LARGE

        stored = spec if read is None else read
        filling = min(filling_samples(self.workers), num_samples)
        batch = min(self.batch_size, num_samples)
        makes_ahead = self.workers > 0 and (read is not None or batch * spec.num_bytes >= LARGE)
        ahead = BATCHES_AHEAD if makes_ahead else 0
        batches = (IN_FLIGHT + ahead) * batch
        return num_samples * stored.num_bytes + max(filling * stored.num_bytes, batches * spec.num_bytes)

    def build(self, source: Source, plan: Plan, transforms: Transforms = ()) -> InMemoryLoader:
        """A loader that reads all samples at the first batch."""
        from runner.loaders.in_memory import InMemoryLoader

        return InMemoryLoader(source, plan, self, transforms)


class DirectoryFlow(LoaderSettings):
    """An endless iterator over class folders, with the files and classes as attributes."""

    kind: Literal["directory_flow"] = "directory_flow"

    def build(self, source: Source, plan: Plan, transforms: Transforms = ()) -> DirectoryFlowLoader:
        """A flow over the files of `source`.

        Raises `ConfigurationError` if the data has no files.
        """
        if not source.has_bytes:
            raise ConfigurationError(
                "loader=directory_flow needs one file per sample, but this data has no files; "
                "choose loader=sequence, generator or in_memory, or data=directory"
            )
        from runner.loaders.directory_flow import DirectoryFlowLoader

        return DirectoryFlowLoader(source, plan, self, transforms)
