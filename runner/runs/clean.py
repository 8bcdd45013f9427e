"""Runs that came to nothing: named, and removed where that is asked for."""

from __future__ import annotations

import sys

from runner.machine import format_bytes
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.output import write_rows
from runner.records.run_folder import Run
from runner.runs.cleaning import is_fruitless, remove, size_bytes
from runner.runs.query import Query


def clean(query: Query) -> None:
    """Name the runs that failed, were killed or left no record; with `yes` remove them."""
    runs = [run for run in query.runs() if is_fruitless(run)]
    sizes = [size_bytes(run.folder) for run in runs]
    rows = [[run.name, run.status, format_bytes(size), _kept(run)] for run, size in zip(runs, sizes, strict=True)]
    write_rows(["run", "status", "size", "holds"], rows, query.format)
    if query.yes:
        remove(runs, query.root)
    if query.format == "table":
        done = "removed" if query.yes else "would be removed; add yes=true to remove them"
        sys.stdout.write(f"\n{len(runs)} runs, {format_bytes(sum(sizes))}, {done}\n" if runs else "nothing to clean\n")


def _kept(run: Run) -> str:
    """What somebody might miss."""
    return ", ".join(name for name in (MODEL, CHECKPOINTS) if (run.folder / name).exists())
