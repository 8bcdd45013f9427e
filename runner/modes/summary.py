"""The summary of a run, as labelled lines: data, loader, model, training, resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.choices import AnyData, AnyModel
from runner.data.dataset import Data, Dataset, NoData, ReadyBatches
from runner.data.labels import Head
from runner.fields import Layout
from runner.loaders.auto import Choice
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import Readers
from runner.messages import first_few, format_bytes, plural, yaml_text
from runner.models.parts import parts_of
from runner.records.bad_samples import BAD_SAMPLES_CSV
from runner.records.run_folder import RunFolder
from runner.settings import Settings
from runner.training.in_phase import mixed_phases

Line = tuple[str, str]


def data_lines(config: Settings, dataset: Dataset, available: int, processes: int = 1) -> Iterator[Line]:
    """The splits, the classes, the shape of a sample, and the memory of all samples next to what is free for each."""
    if dataset.batches is not None:
        yield from _batch_lines(dataset, dataset.batches, available)
        return
    counts = "  ".join(f"{split} {len(source):,}" for split, source in dataset.splits.items())
    num_samples = sum(len(source) for source in dataset.splits.values())
    read = next(iter(dataset.splits.values())).spec
    delivered = "" if read == dataset.spec else f", delivered as {dataset.spec}"
    yield "data", f"{_named(config.data)}: {counts}"
    yield from (("", _classes(head)) for head in dataset.heads if head.class_names)
    whole, free = format_bytes(num_samples * read.num_bytes), f"{format_bytes(available)} of memory free"
    free += of_each(processes)
    if isinstance(read, Layout):
        yield from (("", f"{name}: {spec} per sample") for name, spec in read.specs)
        yield "", f"{whole} in total{delivered}; {free}"
    else:
        yield "", f"{read} per sample{delivered}, {whole} in total; {free}"
    if not isinstance(config.data, NoData):
        yield from _transform_lines(config.data)
    yield from (("", f"note: {note}") for note in dataset.notes)


def of_each(processes: int) -> str:
    """The words behind bytes of memory that are those of each of `processes`."""
    return f" for each of {processes} processes" if processes > 1 else ""


def _batch_lines(dataset: Dataset, batches: ReadyBatches, available: int) -> Iterator[Line]:
    """The batches that the user's own code makes."""
    counts = "  ".join(f"{split} {steps:,}" for split, steps in batches.steps.items())
    yield "data", f"batches per pass: {counts}; the first has {plural(batches.size, 'sample')}"
    yield from (("", _classes(head)) for head in dataset.heads if head.class_names)
    yield "", f"{dataset.spec} per sample; {format_bytes(available)} of memory free"
    yield from (("", f"note: {note}") for note in dataset.notes)


def loader_lines(choice: Choice, needed: int) -> Iterator[Line]:
    """How samples will be read, the memory that takes, the reason, and the keys that have no effect."""
    loader, used = choice.settings, choice.settings.normalised()
    batches = " ".join(name for _, name in used.names()) or f"batches of {used.batch_size}"
    yield "loader", f"{used.kind}: {batches}, {_readers(used)}{_order(used)}, needs {format_bytes(needed)}"
    if choice.reason is not None:
        yield "", f"chosen by auto: {choice.reason}"
    changed = [f"loader.{name}" for name in loader.idle_keys() if getattr(loader, name) != getattr(used, name)]
    if changed:
        yield "", f"note: {', '.join(changed)} {'has' if len(changed) == 1 else 'have'} no effect with this loader"


def _order(loader: LoaderSettings) -> str:
    """The order by blocks, if it is one."""
    if loader.order != "blocks":
        return ""
    return f", blocks of {loader.block_mb:g} MiB in windows of {loader.window_mb:g} MiB"


def cache_lines(cache: Mapping[str, Any] | None) -> Iterator[Line]:
    """The part of the data that a cache on disk holds already; a cache in memory is part of the loader's line."""
    if cache and cache["folder"]:
        missing = cache["samples"] - cache["found"]
        size = format_bytes(cache["bytes"])
        yield "cache", f"{cache['found']:,} of {plural(cache['samples'], 'sample')} cached, {size}: {cache['folder']}"
        if missing:
            yield "", f"the other {missing:,} are cached as they are read"


def bad_lines(config: Settings, dataset: Dataset, counts: Mapping[str, int]) -> Iterator[Line]:
    """The number of samples in each split that could not be read, and how they were treated."""
    bad = [(split, count) for split, count in counts.items() if count]
    for number, (split, count) in enumerate(bad):
        substituted = split == "train" and isinstance(config.data, Data) and config.data.on_bad == "substitute"
        treated = "replaced by others" if substituted else "left out"
        total = plural(len(dataset.splits[split]), "sample")
        yield "" if number else "bad", f"{split}: {count:,} of {total} could not be read; {treated}"
    if bad:
        yield "", f"{BAD_SAMPLES_CSV} gives the reasons"


def training_lines(
    config: Settings, steps_per_epoch: int, num_weights: int, *, compiled_by_user: bool = False
) -> Iterator[Line]:
    """The model and how it is trained."""
    train = config.train
    optimizer = (
        "compiled by the function" if compiled_by_user else f"{train.describe_optimizer()} at {train.describe_rate()}"
    )
    epochs = f"{plural(train.epochs, 'epoch')} of {plural(steps_per_epoch, 'step')}"
    yield "model", f"{_named(config.model)}: {plural(num_weights, 'weight')}"
    yield "train", f"{epochs}, {optimizer}, seed {config.seed}, {config.backend}"
    mixed = [number for number, is_mixed in enumerate(mixed_phases(config), 1) if is_mixed]
    if mixed:
        where = f" in phase {', '.join(map(str, mixed))}" if len(mixed) < len(train.phases) else ""
        yield "", f"mixed{where}: loss and metrics of training are those of mixed samples; those of validation are not"
    for key in ("loss", "metrics", "callbacks"):
        if names := [part.name for _, part in parts_of(getattr(train, key), key)]:
            yield "", f"{key}: {first_few(names)}"


def resource_lines(result: Mapping[str, Any]) -> Iterator[Line]:
    """The CPU time and the memory of training, with workers; nothing if a resumed run had nothing left to train."""
    if "cpu_seconds" in result:
        memory = format_bytes(result["peak_memory_bytes"])
        yield "resources", f"CPU time {result['cpu_seconds']:,.1f} s (with workers), peak memory {memory}"


def model_lines(trained: RunFolder, num_weights: int) -> Iterator[Line]:
    """The model file of an earlier run, and what became of that run if it was not completed."""
    yield "model", f"{trained.path / trained.model}: {plural(num_weights, 'weight')}"
    if trained.document["status"] != "completed":
        yield "", f"note: the run of this model did not complete (status {trained.document['status']})"


def origin_lines(foreign_files: tuple[Path, ...]) -> Iterator[Line]:
    """The user's own configuration files that this run uses."""
    for number, file in enumerate(foreign_files):
        yield "" if number else "config", str(file)


def _classes(head: Head, most: int = 10) -> str:
    names, prefix = head.class_names, f"{head.name}: " if head.name else ""
    return f"{prefix}{plural(len(names), 'class', 'classes')}: {first_few(names, most=most)}"


def _transform_lines(data: Data) -> Iterator[Line]:
    augment = data.augment
    if augment:
        values = augment.model_dump(mode="json")
        keys = {name: values[name] for name in augment.model_dump(exclude_defaults=True)}
        yield "", f"augmented in training: {', '.join(f'{name} {yaml_text(value)}' for name, value in keys.items())}"
    if data.transform is not None:
        yield "", f"transformed by {data.transform}"


def _named(part: AnyData | AnyModel) -> str:
    """The kind of a component, and the user's own code that it is made of."""
    return " ".join((part.kind, *(name for key, name in part.names() if key == "target")))


def _readers(loader: LoaderSettings) -> str:
    if loader.kind == "generator" or loader.workers == 0:
        return "read in the training thread"
    ahead = "" if loader.kind == "in_memory" else f", {plural(loader.max_queue_size, 'batch', 'batches')} ahead"
    return f"{Readers(loader.workers, loader.use_multiprocessing)}{ahead}"
