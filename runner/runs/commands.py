"""Tables of runs: a line for each of many, some side by side, and all that tells two apart.

What one run was, and what came of it.

The folder of the best run, for scripts.

Runs that came to nothing, and how they are removed.

Runs that came to nothing: named, and removed where that is asked for.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError, RunnerError
from runner.messages import format_bytes
from runner.records.columns import FIGURES, in_unit, title_of
from runner.records.diff import differences
from runner.records.files import to_json
from runner.records.folder import CHECKPOINTS, MODEL, point_latest
from runner.records.output import brief, plain, write_rows
from runner.records.run_folder import DAMAGED, LATEST, UNRECORDED, RunFolder, all_runs, goal_of, is_number
from runner.runs.query import Query
from runner.sweeps.sweep_plan import FROZEN

RESULTS = 4
"""How many results list shows by itself."""


def list_runs(query: Query) -> None:
    """A line for each run: the columns asked for, or its status, first results and what was typed."""
    runs = query.runs()
    shown = list(query.columns or ["status", *_results(runs)[:RESULTS], "seconds.total"])
    rows = [[run.name, *(run.value(key) for key in shown)] for run in runs]
    if query.columns is None:
        rows = [[*row, " ".join(run.document.get("overrides") or [])] for row, run in zip(rows, runs, strict=True)]
        shown = [*shown, "overrides"]
    write_rows(["run", *shown], rows, query.format)


def compare(query: Query) -> None:
    """The keys in which runs differ, their results, and what a loader is judged by, where they say.

    Raises `RunnerError` where there are not two.
    """
    runs = query.runs()
    if len(runs) < 2:
        raise RunnerError(f"compare needs at least two runs, got {len(runs)}; python -m runner.runs list names them")
    keys = [difference.key for difference in differences(runs) if difference.part == "config"]
    figures = [figure.key for figure in FIGURES if any(run.value(figure.key) is not None for run in runs)]
    shown = ["status", *keys, *_results(runs), *figures]
    rows = [[run.name, *(_plain_value(run, key) for key in shown)] for run in runs]
    if query.format == "table":
        rows = [[name, *map(in_unit, shown, values)] for name, *values in rows]
        shown = [*map(title_of, shown)]
    write_rows(["run", *shown], rows, query.format)


def diff(query: Query) -> None:
    """All that tells the two named runs apart."""
    runs = query.named()
    found = differences(runs)
    if not found and query.format == "table":
        sys.stdout.write(f"{runs[0].name} and {runs[1].name} differ in nothing but their times\n")
        return
    rows = [[difference.part, difference.key, *difference.values] for difference in found]
    write_rows(["part", "key", *(run.name for run in runs)], rows, query.format)


def _results(runs: Iterable[RunFolder]) -> list[str]:
    """The numbers evaluation gave any of these runs, by the short keys of conditions."""
    results = [((run.document.get("results") or {}).get("evaluate") or {}) for run in runs]
    return list(dict.fromkeys(f"evaluate.{key}" for result in results for key in result if is_number(result[key])))


def _plain_value(run: RunFolder, key: str) -> Any:
    """None for a whole section: its keys have columns of their own."""
    value = run.value(key)
    return None if isinstance(value, Mapping) else value


def show(query: Query) -> None:
    """A line for each thing there is to know of the named run; as JSON all of it."""
    (run,) = query.named()
    if query.format == "json":
        shown = {"run": run.name, "folder": run.path, **run.document, "config": run.config, "metrics": run.metrics}
        sys.stdout.write(to_json(shown))
        return
    rows = [("run", run.path), ("", run.name), *_lines(run)]
    sys.stdout.write("".join(f"{word:<10}{plain(value)}\n" for word, value in rows if plain(value)))


def _lines(run: RunFolder) -> Iterable[tuple[str, Any]]:
    document, error = run.document, run.document.get("error") or {}
    during = f" during {document['stage']}" if document.get("stage") else ""
    yield "status", f"{run.status}{during}"
    yield "error", f"{error['type']}: {error['message']}" if error else None
    yield "typed", " ".join(document.get("overrides") or [])
    yield "started", document.get("started")
    yield "model", run.value("model")
    yield "loader", run.value("loader")
    data = document.get("data") or {}
    counts, noun = (data["steps"], " batches") if "steps" in data else (data.get("samples") or {}, "")
    yield "data", f"{run.value('data')}: " + "  ".join(f"{split} {count:,}{noun}" for split, count in counts.items())
    for stage, results in (document.get("results") or {}).items():
        yield stage, _pairs({key: value for key, value in results.items() if not isinstance(value, Mapping)})
        yield "wait", results.get("wait", {}).get("advice")
    yield "last", _pairs(run.metrics[-1] if run.metrics else {})
    yield "seconds", _pairs(document.get("seconds") or {})
    git = document.get("git") or {}
    yield "code", f"{git['commit'][:10]}{', changed since' if git.get('dirty') else ''}" if git.get("commit") else None
    yield "files", "  ".join(sorted(file.name for file in run.path.iterdir() if not file.name.startswith(".")))


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{key} {brief(value)}" for key, value in values.items())


def best(query: Query) -> None:
    """Print the folder of the run with the most of the metric, or the least; of equals that of the newest."""
    if query.metric is None:
        raise ConfigurationError("best must be told what to go by; add metric=val_loss")
    goal = query.goal or goal_of(query.metric)
    if goal is None:
        raise ConfigurationError(f"goal must say whether more of {query.metric} is better: add goal=max or goal=min")
    scored = [(value, run) for run in query.runs() if (value := run.number(query.metric)) is not None]
    if not scored:
        raise RunnerError(f"no run that is meant has a number for {query.metric}")
    _, run = (max if goal == "max" else min)(reversed(scored), key=lambda pair: pair[0])
    sys.stdout.write(f"{run.path}\n")


FRUITLESS = ("failed", "killed", UNRECORDED, DAMAGED)

YOUNG_SECONDS = 60.0
"""A folder without a record that is younger may belong to a run that is about to begin."""


def is_fruitless(run: RunFolder) -> bool:
    """Whether a run failed, was killed or never got as far as a record."""
    return run.status in FRUITLESS and not (run.status == UNRECORDED and _age_seconds(run.path) < YOUNG_SECONDS)


def size_bytes(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def remove(runs: Iterable[RunFolder], root: Path) -> None:
    """Remove the folders of these runs, and sweeps nothing is left of; `latest` links to the newest that is left.

    Raises `RunnerError` where a folder cannot be removed.
    """
    for run in runs:
        try:
            shutil.rmtree(run.path)
        except OSError as error:
            raise RunnerError(f"cannot remove {run.path}: {error.strerror or error}") from error
        others = run.path.parent.iterdir() if "/" in run.name else ()
        if "/" in run.name and all(entry.is_file() or entry.name == FROZEN for entry in others):
            shutil.rmtree(run.path.parent)
    _mend_latest(root)


def _mend_latest(root: Path) -> None:
    link = root / LATEST
    if not link.is_symlink() or link.exists():
        return
    left = [run for run in all_runs(root) if run.path.parent.name == "runs"]
    if left:
        point_latest(root, left[-1].path)
    else:
        link.unlink()


def _age_seconds(folder: Path) -> float:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime
    return 0.0


def clean(query: Query) -> None:
    """Name the runs that failed, were killed or left no record; with `yes` remove them."""
    runs = [run for run in query.runs() if is_fruitless(run)]
    sizes = [size_bytes(run.path) for run in runs]
    rows = [[run.name, run.status, format_bytes(size), _kept(run)] for run, size in zip(runs, sizes, strict=True)]
    write_rows(["run", "status", "size", "holds"], rows, query.format)
    if query.yes:
        remove(runs, query.root)
    if query.format == "table":
        done = "removed" if query.yes else "would be removed; add yes=true to remove them"
        sys.stdout.write(f"\n{len(runs)} runs, {format_bytes(sum(sizes))}, {done}\n" if runs else "nothing to clean\n")


def _kept(run: RunFolder) -> str:
    """What somebody might miss."""
    return ", ".join(name for name in (MODEL, CHECKPOINTS) if (run.path / name).exists())
