"""What would make a model wait less, in one sentence, from figures alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Wait
from runner.messages import format_bytes

LITTLE, NOTHING = 0.05, 0.005
"""Shares of waiting below which little is to be gained, and below which the model as good as never waited."""

DOING = {
    "read": "reading",
    "decode": "decoding",
    "change": "changing samples (data.augment, data.transform)",
    "assemble": "putting batches together",
    "transfer": "copying batches to the GPU",
}


@dataclass(frozen=True)
class Means:
    """What there is to read with: the loader as it was set, and the machine.

    `epochs` is how often the samples are read; `all_bytes` is what they take if they are held, as `data` gives them;
    `has_files`: a cache on disk can tell samples apart.
    """

    loader: LoaderSettings
    processors: int
    epochs: int
    all_bytes: int
    available_bytes: int
    has_files: bool

    @property
    def fits(self) -> bool:
        """Whether all samples may be held in memory."""
        return self.all_bytes <= self.available_bytes / 2


def advise(wait: Wait, means: Means) -> str:
    """How long the model waited, mostly for what, and which keys would change that."""
    first = wait.first_batch_seconds
    if first > max(wait.seconds, LITTLE * (wait.training_seconds + first)):
        later = "never waited" if wait.share < NOTHING else f"waited {_percent(wait.share)} of the time"
        return f"the model waited {first:.2f} s for the first batch{_first(means)}; after that it {later}"
    share = f"the model waited {_percent(wait.share)} of the time"
    if wait.share < NOTHING:
        return "the model never waited: more workers would not help"
    if wait.share < LITTLE:
        return f"{share}: reading faster would gain no more than that"
    # What is held was read and decoded before the first batch.
    stages = ("change", "assemble") if means.loader.kind == "in_memory" else tuple(wait.reasons)
    mostly = max(stages, key=lambda stage: wait.reasons[stage])
    keys = list(_keys(mostly, means))
    return f"{share}, mostly for {DOING[mostly]}: {', or '.join(keys) if keys else _nothing_left(mostly, means)}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0095 else f"{share:.1%}"


def _first(means: Means) -> str:
    if means.loader.kind == "in_memory":
        return ", which holds everything back until all samples are read"
    return ", for which worker processes start" if means.loader.use_multiprocessing else ""


def _keys(mostly: str, means: Means) -> Iterator[str]:
    """What to set, most promising first; never what is set already."""
    loader = means.loader
    if mostly == "transfer":
        return  # done in the thread that trains, whoever reads
    if loader.kind == "generator":
        yield "choose loader=sequence, whose workers read beside the model's training"
    elif loader.workers == 0:
        yield f"set loader.workers={means.processors}, to read beside the model's training"
    elif loader.workers < means.processors:
        yield f"raise loader.workers ({loader.workers} now, this machine has {means.processors} processors)"
    if mostly in ("read", "decode") and loader.kind != "in_memory" and loader.cache == "none":
        yield from _caches(means)
    in_threads = loader.kind in ("sequence", "directory_flow") and loader.workers and not loader.use_multiprocessing
    if mostly == "change" and in_threads:
        yield "set loader.use_multiprocessing=true, if data.transform is Python that holds the GIL"


def _caches(means: Means) -> Iterator[str]:
    if means.fits and means.epochs > 1:
        yield f"set loader.cache=memory (all samples take {format_bytes(means.all_bytes)})"
    elif means.has_files:
        yield "set loader.cache=disk, which later epochs and runs read from"


def _nothing_left(mostly: str, means: Means) -> str:
    if mostly == "transfer":
        return "a smaller sample would help"
    return f"all {means.processors} processors read already; a smaller sample or a faster machine would help"
