"""Advice on how to make a model wait less: one sentence, from measured figures only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Wait
from runner.messages import format_bytes, plural

LITTLE, NOTHING = 0.05, 0.005
"""Shares of waiting: below the first, little can be gained; below the second, the model practically never waited."""

ENOUGH_MB = 32
"""Blocks of this size take a spinning disk little longer than reading without a seek."""

WORK = {
    "fetch": "reading",
    "decode": "decoding",
    "augment": "transforming samples (data.augment, data.transform)",
    "assemble": "building batches",
    "transfer": "copying batches to the GPU",
}


@dataclass(frozen=True)
class ReadingResources:
    """The settings of the loader, the data and the machine.

    `epochs` is how often all samples are read. `all_bytes` is the memory they take, as `data` reads them. `has_bytes`
    says whether a disk cache is possible.
    """

    loader: LoaderSettings
    processors: int
    epochs: int
    all_bytes: int
    available_bytes: int
    has_bytes: bool

    @property
    def fits(self) -> bool:
        """Whether all samples take at most half of the free memory."""
        return self.all_bytes <= self.available_bytes / 2


def advise(wait: Wait, resources: ReadingResources) -> str:
    """How long the model waited, what for, and which keys would change that."""
    first = wait.first_batch_seconds
    if first > max(wait.seconds, LITTLE * (wait.training_seconds + first)):
        later = "never waited" if wait.share < NOTHING else f"waited {_percent(wait.share)} of the time"
        return f"the model waited {first:.2f} s for the first batch{_first(resources)}; after that it {later}"
    share = f"the model waited {_percent(wait.share)} of the time"
    if wait.share < NOTHING:
        return "the model never waited: more workers would not help"
    if wait.share < LITTLE:
        return f"{share}: faster reading cannot save more than that"
    # in_memory read and decoded all samples before the first batch.
    stages = ("augment", "assemble") if resources.loader.kind == "in_memory" else tuple(wait.reasons)
    main_stage = max(stages, key=lambda stage: wait.reasons[stage])
    keys = list(_keys(main_stage, resources))
    advice = ", or ".join(keys) if keys else _nothing_left(main_stage, resources)
    return f"{share}, mostly for {WORK[main_stage]}: {advice}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0095 else f"{share:.1%}"


def _first(resources: ReadingResources) -> str:
    if resources.loader.kind == "in_memory":
        return ", because loader=in_memory reads all samples before it"
    return ", because worker processes start before it" if resources.loader.use_multiprocessing else ""


def _keys(stage: str, resources: ReadingResources) -> Iterator[str]:
    """Keys to set, most promising first; never a value that is set already."""
    loader = resources.loader
    if stage == "transfer":
        return  # the training thread copies batches, whatever the loader
    if stage == "fetch" and loader.order == "blocks":  # one thread reads, however many workers there are
        if loader.block_mb < ENOUGH_MB:
            yield f"raise loader.block_mb (now {loader.block_mb:g}), for fewer seeks"
    elif loader.kind == "generator":
        yield "choose loader=sequence, whose workers read while the model trains"
    elif loader.workers == 0:
        yield f"set loader.workers={resources.processors}, to read while the model trains"
    elif loader.workers < resources.processors:
        processors = plural(resources.processors, "processor")
        yield f"raise loader.workers (now {loader.workers}; this machine has {processors})"
    if stage in ("fetch", "decode") and loader.kind != "in_memory" and loader.cache == "none":
        yield from _caches(resources)
    in_threads = loader.kind in ("sequence", "directory_flow") and loader.workers and not loader.use_multiprocessing
    if stage == "augment" and in_threads:
        yield "set loader.use_multiprocessing=true, if data.transform is Python code that holds the GIL"


def _caches(resources: ReadingResources) -> Iterator[str]:
    if resources.fits and resources.epochs > 1:
        yield f"set loader.cache=memory (all samples take {format_bytes(resources.all_bytes)})"
    elif resources.has_bytes:
        yield "set loader.cache=disk, so that later epochs and runs read decoded samples"


def _nothing_left(stage: str, resources: ReadingResources) -> str:
    if stage == "transfer":
        return "smaller samples would help"
    if stage == "fetch" and resources.loader.order == "blocks":
        return "blocks are read one after another already; smaller samples or a faster disk would help"
    return f"all {resources.processors} processors read already; smaller samples or a faster machine would help"
