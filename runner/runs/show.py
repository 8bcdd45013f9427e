"""What one run was, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from runner.records.files import to_json
from runner.records.output import brief, plain
from runner.records.run_folder import Run
from runner.runs.query import Query


def show(query: Query) -> None:
    """A line for each thing there is to know of the named run; as JSON all of it."""
    (run,) = query.named()
    if query.format == "json":
        shown = {"run": run.name, "folder": run.folder, **run.document, "config": run.config, "metrics": run.metrics}
        sys.stdout.write(to_json(shown))
        return
    rows = [("run", run.folder), ("", run.name), *_lines(run)]
    sys.stdout.write("".join(f"{word:<10}{plain(value)}\n" for word, value in rows if plain(value)))


def _lines(run: Run) -> Iterable[tuple[str, Any]]:
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
    yield "files", "  ".join(sorted(file.name for file in run.folder.iterdir() if not file.name.startswith(".")))


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{key} {brief(value)}" for key, value in values.items())
