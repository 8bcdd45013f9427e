"""The account of a run: what was chosen, what the data is, what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.data.dataset import Data, Dataset, NoData, ReadyBatches
from runner.data.labels import Head
from runner.loaders.auto import Choice
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import Readers
from runner.messages import format_bytes
from runner.records.bad_samples import NAME as BAD_SAMPLES_CSV
from runner.records.run_folder import RunFolder
from runner.settings import AnyData, AnyModel, Settings

Line = tuple[str, str]


def data_lines(config: Settings, dataset: Dataset, available: int) -> Iterator[Line]:
    """The splits, the classes, and the memory all samples would take beside what is free."""
    if dataset.batches is not None:
        yield from _batch_lines(dataset, dataset.batches, available)
        return
    counts = "  ".join(f"{split} {len(source):,}" for split, source in dataset.splits.items())
    num_samples = sum(len(source) for source in dataset.splits.values())
    read = next(iter(dataset.splits.values())).spec
    given = "" if read == dataset.spec else f", given as {dataset.spec}"
    yield "data", f"{_named(config.data)}: {counts}"
    yield from (("", _classes(head)) for head in dataset.heads if head.class_names)
    whole, free = format_bytes(num_samples * read.num_bytes), format_bytes(available)
    yield "", f"{read} a sample{given}, {whole} in all; {free} of memory are free"
    if not isinstance(config.data, NoData):
        yield from _change_lines(config.data)
    yield from (("", f"note: {note}") for note in dataset.notes)


def _batch_lines(dataset: Dataset, batches: ReadyBatches, available: int) -> Iterator[Line]:
    """The batches of a pass, split by split, that the user's own code makes."""
    counts = "  ".join(f"{split} {steps:,}" for split, steps in batches.steps.items())
    yield "data", f"batches a pass: {counts}, the first of {batches.size:,} samples"
    yield from (("", _classes(head)) for head in dataset.heads if head.class_names)
    yield "", f"{dataset.spec} a sample; {format_bytes(available)} of memory are free"
    yield from (("", f"note: {note}") for note in dataset.notes)


def loader_lines(choice: Choice, needed: int) -> Iterator[Line]:
    """How samples will be read, what that holds in memory, why so, and which keys have no effect."""
    loader, used = choice.settings, choice.settings.normalised()
    made = " ".join(name for _, name in used.names()) or f"batches of {used.batch_size}"
    yield "loader", f"{used.kind}: {made}, {_readers(used)}; holds {format_bytes(needed)}"
    if choice.reason is not None:
        yield "", f"chosen by auto: {choice.reason}"
    changed = [f"loader.{name}" for name in loader.idle_keys() if getattr(loader, name) != getattr(used, name)]
    if changed:
        yield "", f"note: {', '.join(changed)} {'has' if len(changed) == 1 else 'have'} no effect here"


def cache_lines(cache: Mapping[str, Any] | None) -> Iterator[Line]:
    """How much of the data lies in a cache on disk already; one in memory is part of what the loader holds."""
    if cache and cache["folder"]:
        missing = cache["samples"] - cache["found"]
        told = f"{cache['found']:,} of {cache['samples']:,} samples, {format_bytes(cache['bytes'])} in all"
        yield "cache", f"{told}: {cache['folder']}"
        if missing:
            yield "", f"the other {missing:,} are added as they are read"


def bad_lines(config: Settings, dataset: Dataset, counts: Mapping[str, int]) -> Iterator[Line]:
    """How many samples of each split could not be read, and what was done about them; nothing where all could."""
    told = [(split, count) for split, count in counts.items() if count]
    for number, (split, count) in enumerate(told):
        substituted = split == "train" and isinstance(config.data, Data) and config.data.on_bad == "substitute"
        done = "others stood in their places" if substituted else "left out"
        yield "" if number else "bad", f"{split}: {count:,} of {len(dataset.splits[split]):,} samples, {done}"
    if told:
        yield "", f"each with its reason in {BAD_SAMPLES_CSV}"


def training_lines(
    config: Settings, steps_per_epoch: int, num_weights: int, *, compiled_by_user: bool = False
) -> Iterator[Line]:
    """The model and how it is trained."""
    train = config.train
    optimizer = "compiled by the function" if compiled_by_user else f"{train.optimizer.name} at {train.describe_rate()}"
    yield "model", f"{_named(config.model)}: {num_weights:,} weights"
    yield (
        "train",
        f"{train.epochs} epochs of {steps_per_epoch:,} steps, {optimizer}, seed {config.seed}, {config.backend}",
    )


def cost_lines(result: Mapping[str, Any]) -> Iterator[Line]:
    """The time of processors and the memory that training took, workers included; nothing where nothing was left."""
    if "cpu_seconds" in result:
        memory = format_bytes(result["peak_memory_bytes"])
        yield "cost", f"{result['cpu_seconds']:,.1f} s of processors, workers included; at most {memory} of memory"


def model_lines(trained: RunFolder, num_weights: int) -> Iterator[Line]:
    """The model file of an earlier run, and what became of that run if it was not completed."""
    yield "model", f"{trained.path / trained.model}: {num_weights:,} weights"
    if trained.document["status"] != "completed":
        yield "", f"note: that run is {trained.document['status']}"


def origin_lines(foreign_files: tuple[Path, ...]) -> Iterator[Line]:
    """The user's own configuration files that took part."""
    for number, file in enumerate(foreign_files):
        yield "" if number else "with", str(file)


def _classes(head: Head, most: int = 10) -> str:
    names, prefix = head.class_names, f"{head.name}: " if head.name else ""
    return f"{prefix}{len(names)} classes: {', '.join(names[:most])}{', …' if len(names) > most else ''}"


def _change_lines(data: Data) -> Iterator[Line]:
    augment = data.augment
    if augment:
        keys = augment.model_dump(mode="json", exclude_defaults=True)
        yield "", f"augmented in training: {', '.join(f'{name} {value}' for name, value in keys.items())}"
    if data.transform is not None:
        yield "", f"every sample through {data.transform}"


def _named(part: AnyData | AnyModel) -> str:
    """The kind of a component, and the user's own code where it is made of that."""
    return " ".join((part.kind, *(name for key, name in part.names() if key == "target")))


def _readers(loader: LoaderSettings) -> str:
    if loader.kind == "generator" or loader.workers == 0:
        return "read in the model's own thread"
    ahead = "" if loader.kind == "in_memory" else f", up to {loader.max_queue_size} batches ahead"
    return f"{Readers(loader.workers, loader.use_multiprocessing)}{ahead}"
