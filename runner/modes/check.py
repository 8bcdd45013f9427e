"""`mode=check`: read all data and report its problems, without a model and without a backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from runner.batch import Array
from runner.choices import AnyLoader
from runner.data.dataset import Data, Dataset, no_digest
from runner.errors import BadSampleError
from runner.fields import arrays_of
from runner.loaders.auto import Auto
from runner.loaders.custom import Custom
from runner.loaders.kinds import DirectoryFlow
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.machine import available_bytes
from runner.messages import first_few, format_bytes, plural, shape_text
from runner.modes.figures import class_counts
from runner.modes.inspect_samples import KINDS, Finding, Kind, check, describe, first_batch
from runner.modes.open_data import open_dataset, transforms_of
from runner.modes.pipeline import fitting_loader, needed_bytes, open_loader
from runner.modes.summary import Line, data_lines, of_each
from runner.modes.terminal import Terminal
from runner.records.files import to_json, write_atomically
from runner.records.record import RunRecord
from runner.settings import Settings

CHECK_JSON = "check.json"
UNREADABLE: tuple[Kind, ...] = ("missing", "empty", "unreadable", "not_finite")
"""Findings that end a run, unless data.on_bad accepts them."""
SHOWN = 10
"""The most classes, and findings of one kind, that the terminal shows; check.json has all."""


def check_data(config: Settings, record: RunRecord, terminal: Terminal) -> str | None:
    """Read all samples; write check.json and report it. Returns the text of the error; None if nothing is wrong."""
    with record.stage("data"):
        dataset, processes = open_dataset(config), config.distribute.processes
        available = available_bytes(processes=processes)
        settings = fitting_loader(config, dataset, tuple(dataset.splits), available).settings
        terminal.summary(data_lines(config, dataset, available, processes))
        counts = class_counts(dataset)
        batch = _batch(open_loader(config, _uncached(settings), dataset, next(iter(dataset.splits))))
        needed = dict(_needed(config, settings, dataset))
    with record.stage("check"):
        pixels = {split: np.zeros(0, np.int64) for split in dataset.splits}
        findings = _findings(config, settings, dataset, terminal, pixels)
    shares = _pixel_counts(dataset, pixels)
    document = {
        "samples": {split: len(source) for split, source in dataset.splits.items()},
        "notes": dataset.notes,
        "classes": counts,
        **({"pixels": shares} if shares else {}),
        "findings": {kind: _documents(kind, dataset, findings) for kind in KINDS},
        "batch": batch,
        "memory": {"available_bytes": available, "needed_bytes": needed},
    }
    write_atomically(record.path / CHECK_JSON, to_json(document))
    number = Counter(finding.kind for finding in findings)
    record.update(results={"check": {kind: number[kind] for kind in KINDS}}, data={"samples": document["samples"]})
    terminal.summary(_count_lines("classes", counts, tuple(dataset.splits)))
    terminal.summary(_count_lines("pixels", shares, tuple(dataset.splits)))
    terminal.summary(_batch_lines(batch))
    terminal.summary(_memory_lines(needed, available, processes))
    terminal.summary(_finding_lines(findings))
    counted = ", ".join(f"{number[kind]:,} {_words(kind)}" for kind in KINDS if number[kind])
    if not counted:
        return None
    return f"data check failed: {counted}; {record.path / CHECK_JSON} lists all{_advice(config, number)}"


def _words(kind: Kind) -> str:
    return kind.replace("_", " ")


def _advice(config: Settings, number: Mapping[Kind, int]) -> str:
    """How to train without the unreadable samples, if `data.on_bad` does not do so already."""
    bad = sum(number[kind] for kind in UNREADABLE)
    if not bad or not isinstance(config.data, Data) or config.data.on_bad != "raise":
        return ""
    noun = "bad sample" if number["not_finite"] else "unreadable sample"
    return f"; data.on_bad=skip trains without {plural(bad, noun)}, substitute replaces {'it' if bad == 1 else 'them'}"


def _pixel_counts(dataset: Dataset, pixels: Mapping[str, Array]) -> dict[str, dict[str, dict[str, int]]]:
    """The number of pixels by head, class and split; of ignored ones in the last row, if masks have any."""
    heads = [head for head in dataset.heads if head.mode == "mask"]
    counted = {split: counts.tolist() for split, counts in pixels.items()}
    return {
        head.name or "mask": {
            name: {split: counts[code] if counts else 0 for split, counts in counted.items()}
            for code, name in enumerate((*head.class_names, *(() if head.ignored is None else ("(ignored)",))))
        }
        for head in heads
    }


def _findings(
    config: Settings, settings: LoaderSettings, dataset: Dataset, terminal: Terminal, pixels: dict[str, Array]
) -> list[Finding]:
    """What is wrong with the samples; adds the pixels of each class to those of its split."""
    total, transforms = sum(map(len, dataset.splits.values())), {}
    if isinstance(config.data, Data) and (config.data.transform or config.data.augment.transform):
        transforms = {
            split: transforms_of(config, dataset, split, source, training=split == "train")
            for split, source in dataset.splits.items()
        }

    def on_pixels(split: str, counts: Array) -> None:
        pixels[split] = pixels[split] + counts if len(pixels[split]) else counts

    recorded = config.data.recorded_digests() if isinstance(config.data, Data) else no_digest
    with terminal.counting("check", total, "samples") as on_samples:
        return list(check(dataset, settings, on_samples, transforms, on_pixels, recorded))


def _needed(config: Settings, settings: LoaderSettings, dataset: Dataset) -> Iterator[tuple[str, int]]:
    """Every loader that can read this data, and the bytes it needs, with the configured keys."""
    keys = {name: getattr(settings, name) for name in LoaderSettings.model_fields if name != "kind"}
    have_files = all(source.has_bytes for source in dataset.splits.values())
    for kind in get_args(get_args(AnyLoader)[0]):
        if kind not in (Auto, Custom) and (kind is not DirectoryFlow or have_files):
            loader = kind(**keys)
            yield loader.kind, needed_bytes(config, loader, dataset, tuple(dataset.splits))


def _uncached(settings: LoaderSettings) -> LoaderSettings:
    """The settings without a cache: samples are read from their files, and not stored."""
    return settings.model_copy(update={"cache": "none"})


def _batch(loader: Loader) -> dict[str, Any]:
    batch = first_batch(loader)
    if isinstance(batch, BadSampleError):
        return {"error": str(batch)}
    if not len(batch):
        return {"error": "all its samples are bad"}
    targets = batch.y if isinstance(batch.y, dict) else {} if batch.y is None else {"label": batch.y}
    x = {name: describe(array) for name, array in arrays_of(batch.x)}
    return {"x": x.get("", x), "y": {name: describe(target) for name, target in targets.items()}}


def _documents(kind: str, dataset: Dataset, findings: Sequence[Finding]) -> list[Any]:
    return [
        {"reason": finding.reason, "samples": [vars(sample) for sample in finding.samples]}
        for finding in findings
        if finding.kind == kind
    ]


def _count_lines(
    label: str, counts: Mapping[str, Mapping[str, Mapping[str, int]]], splits: tuple[str, ...]
) -> Iterator[Line]:
    for head, classes in counts.items():
        width = max(len(head), *(len(name) for name in list(classes)[:SHOWN]))
        yield label, f"{head:<{width}}" + "".join(f"{split:>12}" for split in splits)
        for name, by_split in list(classes.items())[:SHOWN]:
            yield "", f"{name:<{width}}" + "".join(f"{by_split[split]:>12,}" for split in splits)
        if len(classes) > SHOWN:
            yield "", f"and {len(classes) - SHOWN:,} more in {CHECK_JSON}"


def _batch_lines(batch: Mapping[str, Any]) -> Iterator[Line]:
    if "error" in batch:
        yield "batch", f"the first batch cannot be read: {batch['error']}"
        return
    x = batch["x"]
    inputs = {"x": x} if isinstance(x.get("dtype"), str) else {f"x[{name}]": array for name, array in x.items()}
    for number, (name, array) in enumerate({**inputs, **batch["y"]}.items()):
        shape = shape_text(array["shape"])
        yield "" if number else "batch", f"{name}: {shape} {array['dtype']}, {array['min']:g} to {array['max']:g}"


def _memory_lines(needed: Mapping[str, int], available: int, processes: int) -> Iterator[Line]:
    for number, (kind, count) in enumerate(needed.items()):
        fits = "" if count <= available else ": does not fit"
        yield "" if number else "memory", f"loader={kind} needs {format_bytes(count)}{fits}"
    yield "", f"{format_bytes(available)} free{of_each(processes)}"


def _finding_lines(findings: Sequence[Finding]) -> Iterator[Line]:
    if not findings:
        yield "findings", "none: every sample can be read, and there are no duplicates"
    for number, kind in enumerate(kind for kind in KINDS if any(finding.kind == kind for finding in findings)):
        found = [finding for finding in findings if finding.kind == kind]
        yield "" if number else "findings", f"{_words(kind)}: {len(found):,}"
        for finding in found[:SHOWN]:
            same = (f"{sample.id} ({sample.split})" for sample in finding.samples)
            names = first_few(same, len(finding.samples), separator=" = ")
            yield "", f"  {names}" + (f": {finding.reason}" if len(finding.samples) == 1 else "")
        if len(found) > SHOWN:
            yield "", f"  and {len(found) - SHOWN:,} more in {CHECK_JSON}"
