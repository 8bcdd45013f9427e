"""Sections of the page of a run that does not train: what a check found, how fast loaders are, what a pack holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.messages import format_bytes, plural
from runner.records.dotted import flat
from runner.records.output import brief

Cell = tuple[Any, str]
"""A value to sort by, and its text."""

BENCH_COLUMNS: Mapping[str, tuple[str, float]] = {
    "samples_per_second": ("samples/s", 1),
    "batch_milliseconds": ("ms per batch", 1),
    "cpu_seconds_per_1000_samples": ("cpu s per 1,000", 1),
    "memory_bytes": ("memory MB", 1e6),
    "first_batch_seconds": ("first batch s", 1),
}
"""The columns of a bench, with their titles and units."""


@dataclass(frozen=True)
class ModeSection:
    """A section with a table: names of its rows, and for each column but the first, whose title is `of`, cells."""

    id: str
    title: str
    sentence: str
    of: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def mode_results(document: Mapping[str, Any]) -> list[ModeSection]:
    """The sections for what the modes check, bench and pack have left in run.json; none for other runs."""
    results = document["results"]
    sections = {"check": _check, "bench": _bench, "pack": _pack}
    return [section(document, results[mode]) for mode, section in sections.items() if results.get(mode)]


def _check(document: Mapping[str, Any], found: Mapping[str, int]) -> ModeSection:
    total, samples = sum(found.values()), sum((document["data"].get("samples") or {}).values())
    sentence = f"{plural(total, 'finding')} in {plural(samples, 'sample')}; check.json lists them."
    if not total:
        sentence = f"Nothing is wrong with the {plural(samples, 'sample')}."
    rows = [(kind.replace("_", " "), [(count, f"{count:,}")]) for kind, count in found.items()]
    return ModeSection("check", "Check", sentence, "kind of finding", ["samples"], rows)


def _bench(_: Mapping[str, Any], bench: Mapping[str, Any]) -> ModeSection:
    best = f" The best is {bench['best']}." if bench.get("best") else ""
    sentence = f"Measured on {bench.get('samples', 0):,} of {plural(bench.get('of', 0), 'training sample')}.{best}"
    measured = [*bench.get("loaders", ()), *bench.get("bounds", ())]
    rows = [(_name(loader), list(_cells(loader))) for loader in measured]
    return ModeSection("bench", "Loaders", sentence, "loader", [title for title, _ in BENCH_COLUMNS.values()], rows)


def _name(loader: Mapping[str, Any]) -> str:
    return f"{loader['loader']}: {loader['reason']}" if loader.get("reason") else str(loader["loader"])


def _cells(loader: Mapping[str, Any]) -> Iterator[Cell]:
    for key, (_, unit) in BENCH_COLUMNS.items():
        value = loader.get(key)
        yield ("", "–") if value is None else (value, brief(float(value / unit)))


def _pack(_: Mapping[str, Any], pack: Mapping[str, Any]) -> ModeSection:
    rows = [(key.replace("_", " "), [_fact(key, value)]) for key, value in flat(pack) if value is not None]
    return ModeSection("pack", "Pack", "", "of the pack", ["value"], rows)


def _fact(key: str, value: Any) -> Cell:
    return (value, format_bytes(value)) if key.endswith("bytes") else (value, brief(value))
