"""`loader=generator`: a plain Python generator in the caller's thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from runner.batch import ArraySpec, Batch
from runner.data.source import Source
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.settings import IN_FLIGHT, LoaderSettings
from runner.transforms.transform import Transforms


class GeneratorLoader(Loader):
    """Reads each batch when the caller takes it."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from step `start` on."""
        for step in range(start, len(self)):
            yield self.batch(epoch, step)


class Generator(LoaderSettings):
    """One Python generator in the training thread: the simplest loader, without workers."""

    kind: Literal["generator"] = "generator"

    unused: ClassVar[tuple[str, ...]] = ("workers", "use_multiprocessing", "max_queue_size", "timeout_seconds")

    def num_bytes(self, spec: ArraySpec, num_samples: int, read: ArraySpec | None = None) -> int:
        """Bytes of the batches that the framework holds."""
        return IN_FLIGHT * min(self.batch_size, num_samples) * spec.num_bytes

    def build(self, source: Source, plan: Plan, transforms: Transforms = ()) -> GeneratorLoader:
        """A loader that reads in the caller's thread."""
        return GeneratorLoader(source, plan, transforms)
