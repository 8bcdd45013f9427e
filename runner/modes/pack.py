"""`mode=pack`: write the samples into large files, one after another, with an index; no model is built."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from runner.data.mix import Mix
from runner.data.pack import Pack
from runner.data.pack_document import load_pack
from runner.data.pack_format import INDEX
from runner.data.pack_index import read_index
from runner.errors import BadSampleError, ConfigurationError, DataError, RunnerError
from runner.loaders.auto import Auto, num_processors
from runner.machine import available_bytes
from runner.messages import duration_text, format_bytes, plural
from runner.modes.open_data import open_dataset, samples_of
from runner.modes.summary import Line, data_lines
from runner.modes.terminal import Terminal
from runner.packs.folder import PackFolder
from runner.packs.index import remove_parts, write_index
from runner.packs.plan import PackPlan
from runner.packs.shards import FinishedShard
from runner.packs.writer import PackWriter, left_out
from runner.records.bad_samples import BadSamples
from runner.records.record import RunRecord
from runner.settings import Settings
from runner.watchdog import watched

TRIED = 64
"""Samples that are read to estimate the time."""

Shards = Mapping[str, list[FinishedShard]]


def pack_data(config: Settings, record: RunRecord, terminal: Terminal) -> None:
    """Write the pack, or the rest of it; record and report what is in it.

    Raises `DataError` if the folder holds something else, the disk is too small, or a sample cannot be read.
    """
    to = _folder(config)
    with record.stage("data"):
        dataset = open_dataset(config)
        recorded = samples_of(config).recorded_digests()
        plan = PackPlan.of(config.pack, to, dataset, _data_settings(config), recorded)
        terminal.summary(data_lines(config, dataset, available_bytes()))
        record.update(data={"samples": {split: len(source) for split, source in dataset.splits.items()}})
    folder = plan.pack_folder()
    try:
        with record.stage("pack"), folder.claimed():
            if folder.is_whole:
                terminal.summary([("pack", f"{to} holds this pack already; nothing is written")])
            else:
                terminal.summary(_plan_lines(plan, config))
                _write(plan, folder, config, record, terminal)
            folder.clear()
    except OSError as error:
        raise RunnerError(f"cannot write {error.filename or to}: {error.strerror or error}") from error
    document = folder.document()
    record.update(results={"pack": {"path": to, **_results(document), "seconds": round(_seconds(record), 3)}})
    terminal.summary(_result_lines(to, document))


def _folder(config: Settings) -> Path:
    if config.pack.to is None:
        raise ConfigurationError("pack.to must be the folder to write to with mode=pack, got null; add pack.to=packed")
    return config.pack.to


def _data_settings(config: Settings) -> Mapping[str, Any]:
    """The settings that reading the pack needs; of a pack that is packed once more, those of its own data."""
    if isinstance(config.data, Mix):
        return config.data.packed_settings(config.pack.encode)
    if not isinstance(config.data, Pack):
        return config.data.document()
    document = load_pack(config.data.root)
    if document.encode == "npy" and config.pack.encode != "npy":
        raise DataError(
            f"pack.encode must be npy for data.root={config.data.root}, a pack of arrays, got {config.pack.encode}"
        )
    return config.data.packed_settings(document)


def _write(plan: PackPlan, folder: PackFolder, config: Settings, record: RunRecord, terminal: Terminal) -> None:
    data, loader = samples_of(config), config.loader
    bad = BadSamples(record.path, data.max_bad, terminal.note)

    def on_bad(split: str, sample_id: str, name: str, reason: str) -> None:
        if data.on_bad == "raise":
            raise BadSampleError(name, f"{reason}; data.on_bad=skip leaves it out")
        bad.note(split, sample_id, name, reason)

    with terminal.copying("pack", plan.num_reads) as on_samples:
        writer = PackWriter(plan, _workers(config), loader.timeout_seconds, on_bad, on_samples)
        shards = {split: writer.write(split) for split in plan.dataset.splits}
    write_index(plan.folder, plan.dataset.splits, shards)
    sections = {split: [shard.document() for shard in of_split] for split, of_split in shards.items()}
    folder.complete({"left_out": left_out(plan, shards), "digest": _digest(shards), "shards": sections})
    remove_parts(plan.folder, shards)
    read_index(plan.folder, load_pack(plan.folder))  # which keeps the columns of a large one
    record.update(data={"bad_samples": bad.counts()})


def _workers(config: Settings) -> int:
    """Threads that read and encode."""
    loader = config.loader
    return num_processors() if isinstance(loader, Auto) and loader.workers is None else int(loader.workers or 0)


def _digest(shards: Shards) -> str:
    """One digest of all shards."""
    digests = (shard.digest for of_split in shards.values() for shard in of_split)
    return xxhash.xxh3_128_hexdigest("".join(digests).encode())


def _plan_lines(plan: PackPlan, config: Settings) -> Iterator[Line]:
    """What is about to be done, and what it takes; raises `DataError` if the disk is too small."""
    free, passes = plan.refuse_full_disk(), "twice" if plan.num_reads > plan.num_samples else "once"
    how = f"order {plan.settings.order}, encode {plan.settings.encode}"
    yield "pack", f"{plural(plan.num_samples, 'sample')} of {format_bytes(plan.total_bytes)} to {plan.folder}; {how}"
    yield (
        "",
        (
            f"written {passes}; needs {format_bytes(plan.needed_bytes)} of {format_bytes(free)} free; at least "
            f"{duration_text(_estimate(plan, config))} at the speed of the first samples"
        ),
    )


def _estimate(plan: PackPlan, config: Settings) -> float:
    """Seconds that reading and encoding will take, as the first samples do."""
    source = next(iter(plan.dataset.splits.values()))
    tried, began = min(TRIED, len(source)), time.perf_counter()
    with watched(lambda: "the first samples"):
        for index in np.arange(tried).tolist():
            try:
                plan.encoder.encode(source, index)
            except BadSampleError:
                continue
    return (time.perf_counter() - began) / max(1, tried) * plan.num_reads / max(1, _workers(config))


def _results(document: Mapping[str, Any]) -> dict[str, Any]:
    shards = [shard for of_split in document["shards"].values() for shard in of_split]
    return {
        "samples": {
            split: sum(shard["samples"] for shard in of_split) for split, of_split in document["shards"].items()
        },
        "bytes": sum(shard["bytes"] for shard in shards),
        "shards": len(shards),
        "left_out": document["left_out"],
        "digest": document["digest"],
    }


def _seconds(record: RunRecord) -> float:
    return float(record.document["seconds"].get("pack", 0.0))


def _result_lines(folder: Path, document: Mapping[str, Any]) -> Iterator[Line]:
    results = _results(document)
    yield (
        "packed",
        (
            f"{plural(sum(results['samples'].values()), 'sample')}, {format_bytes(results['bytes'])} in "
            f"{plural(results['shards'], 'shard')} and {folder / INDEX}"
        ),
    )
    for split, count in document["left_out"].items():
        yield "", f"{plural(count, f'{split} sample')} could not be read and {'is' if count == 1 else 'are'} left out"
    yield "", f"python -m runner data=pack data.root={folder}"
