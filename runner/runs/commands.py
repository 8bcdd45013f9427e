"""The commands of `python -m runner.runs`: list, show, compare, diff, best, clean and page. Each prints its answer."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError, RunnerError
from runner.messages import format_bytes, lines_for, plural, printable
from runner.records.columns import COLUMNS, in_unit, objective_of, title_of
from runner.records.diff import differences
from runner.records.files import to_json
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.heartbeat import is_visible
from runner.records.output import brief, brief_numbers, csv_text, phase_texts, write_rows
from runner.records.run_folder import DAMAGED, UNRECORDED, RunFolder, is_number
from runner.records.run_names import repair_latest
from runner.records.secret_keys import masked, masked_value
from runner.runs.query import Query
from runner.sweeps.sweep_plan import FROZEN

NUM_RESULTS = 4
"""The number of results that `list` shows by default."""

LABEL = 10
"""The width of the labels of `show`."""

UNFINISHED = ("failed", "killed", UNRECORDED, DAMAGED)
"""The statuses of runs that `clean` removes."""

JOINED = "\N{NO-BREAK SPACE}"
"""Between a key and its value, which stay on one line."""

YOUNG_SECONDS = 60.0
"""A younger folder without a record may belong to a run that is starting."""


def list_runs(query: Query) -> None:
    """Print a line for each run: the requested columns, or its name, status, first results and overrides."""
    runs = query.runs()
    if not runs and query.format == "table":
        matching = " match these conditions" if query.conditions else ", and python -m runner makes one"
        sys.stdout.write(f"no runs below {query.root}{matching}\n")
        return
    named = [key for key in ("name", "tags") if any(run.value(key) for run in runs)]
    shown = list(query.columns or [*named, "status", *_results(runs)[:NUM_RESULTS], "seconds.total"])
    rows = [[run.name, *(_shown(run, key, run.value(key)) for key in shown)] for run in runs]
    if query.columns is None:
        texts = list(map(_overrides, runs))
        shorter = list(map(brief_numbers, texts)) if query.format == "table" else texts
        rows = [[*row, text] for row, text in zip(rows, shorter, strict=True)]
        shown = [*shown, "overrides"]
    write_rows(["run", *shown], rows, query.format, kept=("status", "overrides"))


def compare(query: Query) -> None:
    """Print the keys in which runs differ, their results, and the columns that compare loaders.

    A table has a line for each of these, and a column for each run; runs that are not named or sorted have the newest
    first, as a terminal may have no room for all. Raises `RunnerError` for fewer than two runs.
    """
    runs = query.runs()
    if query.format == "table" and not query.names and query.sort is None:
        runs.reverse()
    if len(runs) < 2:
        raise RunnerError(f"compare needs at least 2 runs, got {len(runs)}; python -m runner.runs list shows all runs")
    runs = _completed(runs)
    keys = [difference.key for difference in differences(runs) if difference.part == "config"]
    columns = [column.key for column in COLUMNS if any(run.value(column.key) is not None for run in runs)]
    shown = ["status", *keys, *_results(runs), *columns]
    rows = [[run.name, *(_shown(run, key, _plain_value(run, key)) for key in shown)] for run in runs]
    if query.format == "table":
        lines = [
            [title_of(key), *(brief(in_unit(key, value)) for value in values)]
            for key, *values in zip(shown, *(row[1:] for row in rows), strict=True)
        ]
        write_rows(["run", *(name for name, *_ in rows)], lines, query.format)
        return
    write_rows(["run", *shown], rows, query.format)


def diff(query: Query) -> None:
    """Print every key in which the two given runs differ."""
    runs = _completed(query.named())
    rows = [
        [part, key, *(_shown(run, key, value) for run, value in zip(runs, values, strict=True))]
        for part, key, values in map(astuple, differences(runs))
    ]
    if not rows and query.format == "table":
        sys.stdout.write(f"{runs[0].name} and {runs[1].name} differ only in their times\n")
        return
    write_rows(["part", "key", *(run.name for run in runs)], rows, query.format)


def _completed(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """The runs, with keys that their versions did not know at their defaults."""
    from runner.settings import Settings  # all components, which other commands do without

    return [run.completed(Settings.completed) for run in runs]


def _results(runs: Iterable[RunFolder]) -> list[str]:
    """The numbers in the evaluation of any of these runs, as the short keys that conditions take."""
    results = [((run.document.get("results") or {}).get("evaluate") or {}) for run in runs]
    return list(dict.fromkeys(f"evaluate.{key}" for result in results for key in result if is_number(result[key])))


def _shown(run: RunFolder, key: str, value: Any) -> Any:
    """The value of a key without secrets."""
    return masked_value(key, value, run.secrets)


def _overrides(run: RunFolder) -> str:
    return " ".join(_shown(run, "overrides", run.value("overrides") or []))


def _plain_value(run: RunFolder, key: str) -> Any:
    """The value of a key; None for a section, whose keys have columns of their own."""
    value = run.value(key)
    return None if isinstance(value, Mapping) else value


def show(query: Query) -> None:
    """Print a summary of the given run, or as JSON its whole record."""
    (run,) = query.named()
    if query.format == "json":
        shown = {"run": run.name, "folder": run.path, **run.document, "config": run.config, "metrics": run.metrics}
        sys.stdout.write(to_json(masked(shown, run.secrets)))
        return
    rows = [("run", str(run.path)), ("", run.name), *_lines(run)]
    for label, text in rows:
        lines = [line.replace(JOINED, " ") for line in lines_for(sys.stdout, printable(text), LABEL)] if text else []
        sys.stdout.writelines(f"{'' if number else label:<{LABEL}}{line}\n" for number, line in enumerate(lines))


def _lines(run: RunFolder) -> Iterable[tuple[str, str | None]]:
    """The labels and texts of `show`; None or an empty text is left out."""
    document = masked(run.document, run.secrets)
    error = document.get("error") or {}
    during = f" during {document['stage']}" if document.get("stage") else ""
    yield "name", run.value("name")
    yield "tags", ", ".join(run.value("tags") or ())
    yield "note", run.value("note")
    yield "status", f"{run.status}{during}"
    yield "error", ": ".join(filter(None, (error["type"], error["message"]))) if error else None
    yield "overrides", _overrides(run)
    yield from (("resumed", " ".join(resume.get("overrides") or ())) for resume in document.get("resumed") or ())
    yield "started", document.get("started")
    yield "model", _component(run, "model")
    yield "loader", _component(run, "loader")
    data = document.get("data") or {}
    counts, noun = (data["steps"], " batches") if "steps" in data else (data.get("samples") or {}, "")
    amounts = "  ".join(f"{split} {count:,}{noun}" for split, count in counts.items())
    yield "data", f"{_component(run, 'data')}: {amounts}"
    for stage, results in (document.get("results") or {}).items():
        yield stage, _pairs({key: value for key, value in results.items() if not isinstance(value, Mapping)})
        yield "wait", (results.get("wait") or {}).get("advice")
    yield "phases", "; ".join(phase_texts(document.get("network") or {}))
    yield "last", _pairs(run.metrics[-1] if run.metrics else {})
    yield "seconds", _pairs(document.get("seconds") or {})
    git = document.get("git") or {}
    yield "code", f"{git['commit'][:10]}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else None
    yield "files", "  ".join(sorted(file.name for file in run.path.iterdir() if not file.name.startswith(".")))


def _component(run: RunFolder, group: str) -> str:
    return csv_text(_shown(run, group, run.value(group)))


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{key}{JOINED}{brief(value)}" for key, value in values.items())


def best(query: Query) -> None:
    """Print the folder of the run with the best value of the metric; of equal runs the newest."""
    if query.metric is None:
        raise ConfigurationError("best needs a metric to rank runs by; add metric=val_loss")
    runs = query.runs()
    known = next((goal for run in runs if (goal := run.goal_of(query.metric))), None)
    objective = objective_of(query.metric, query.goal or known)
    if objective is None:
        raise ConfigurationError(f"best needs the direction of {query.metric}; add goal=max or goal=min")
    first = min(reversed(runs), key=objective.rank, default=None)
    if first is None or objective.rank(first)[0]:
        raise RunnerError(f"no matching run has a number for {query.metric}")
    sys.stdout.write(f"{first.path}\n")


def is_unfinished(run: RunFolder, *, takeover: bool = False) -> bool:
    """Whether a run failed, was killed or left no readable record; with `takeover`, also one on another host."""
    if takeover and run.status == "running":
        return not is_visible(run.document.get("process") or {})
    return run.status in UNFINISHED and not (run.status == UNRECORDED and _age_seconds(run.path) < YOUNG_SECONDS)


def size_bytes(folder: Path) -> int:
    """The size of all files in a folder, in bytes; links are not followed."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def remove(runs: Iterable[RunFolder], root: Path) -> None:
    """Remove the folders of these runs, and of sweeps without jobs; point a broken link `latest` to the newest run.

    Raises `RunnerError` if a folder cannot be removed.
    """
    for run in runs:
        try:
            shutil.rmtree(run.path)
        except OSError as error:
            raise RunnerError(f"cannot remove {run.path}: {error.strerror or error}") from error
        others = run.path.parent.iterdir() if "/" in run.name else ()
        if "/" in run.name and all(entry.is_file() or entry.name == FROZEN for entry in others):
            shutil.rmtree(run.path.parent)
    repair_latest(root)


def _age_seconds(folder: Path) -> float:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime
    return 0.0


def clean(query: Query) -> None:
    """Print the runs that failed, were killed or left no record; with `yes` remove them."""
    runs = [run for run in query.runs() if is_unfinished(run, takeover=query.takeover)]
    sizes = [size_bytes(run.path) for run in runs]
    rows = [[run.name, run.status, format_bytes(size), _models(run)] for run, size in zip(runs, sizes, strict=True)]
    write_rows(["run", "status", "size", "contains"], rows, query.format)
    if query.yes:
        remove(runs, query.root)
        _redraw(query.root)
    if query.format == "table":
        done = "removed" if query.yes else "would be removed; add yes=true to remove them"
        total = f"\n{plural(len(runs), 'run')}, {format_bytes(sum(sizes))}, {done}\n"
        sys.stdout.write(total if runs else "nothing to clean\n")


def page(query: Query) -> None:
    """Draw the page of all runs again."""
    from runner.reports.index_page import write_index  # templates, which other commands do without

    if not query.root.is_dir():
        raise RunnerError(f"there is no folder {query.root}; start a run, or name the folder of runs/ and sweeps/")
    sys.stdout.write(f"page      {write_index(query.root) or 'is drawn by another process'}\n")


def _redraw(root: Path) -> None:
    """Draw the page of all runs again, if there is one."""
    if (root / "index.html").exists():
        from runner.reports.index_page import write_index

        write_index(root)


def _models(run: RunFolder) -> str:
    """The trained models that would be lost."""
    return ", ".join(name for name in (MODEL, CHECKPOINTS) if (run.path / name).exists())
