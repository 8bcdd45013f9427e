"""report.html of a run, drawn from the files in its folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.records.columns import monitored
from runner.records.dotted import flat_items
from runner.records.files import write_atomically
from runner.records.run_folder import RunFolder
from runner.records.secret_keys import masked
from runner.reports.charts import learning_curves
from runner.reports.exports import exports_section
from runner.reports.html import REPORT_HTML, TITLES, render_page, seconds, sections_of
from runner.reports.mode_results import mode_results
from runner.reports.next_step import next_step
from runner.reports.overview import changed, facts, figures, mixed, progress
from runner.reports.sections import class_tables, examples, prediction_sections, wait_section
from runner.reports.system_charts import gpu_note, system_charts

LOG = "run.log"
LOG_LINES = 60

ABSENT: Mapping[str, Any] = {
    **dict.fromkeys(("stage", "error", "finished", "git")),
    **{name: {} for name in ("data", "results", "seconds", "from_run", "rerun", "verified", "distribute")},
    **{name: {} for name in ("changed", "network", "loader", "seeds")},
    **dict.fromkeys(("overrides", "foreign_files"), ()),
}
"""Stand-ins for sections that a half-written run.json lacks."""

NO_MODEL = ("check", "bench", "pack")
"""Modes that use no model."""

STOPPED_BY = {"KeyboardInterrupt": "Stopped by Ctrl-C", "Terminated": "Stopped by SIGTERM"}
"""What a person calls errors that are none."""

MOST_PREDICTIONS_BYTES = 5_000_000
"""The largest predictions.csv to read at the end of a run, in 0.2 s; `runner.report` reads larger ones."""


def write_report(folder: Path, *, max_bytes: int | None = None) -> Path:
    """Draw the page of the run in `folder`, whether or not the run completed, and return its path.

    A predictions.csv of more than `max_bytes` is left out, and the page says so. Raises `RunnerError` if the folder
    holds no run or the page cannot be written.
    """
    path = folder / REPORT_HTML
    write_atomically(path, render(RunFolder(folder), max_bytes), overwrite=True)
    return path


def render(run: RunFolder, max_bytes: int | None = None) -> str:
    """The page as text."""
    predictions, why_no_predictions = prediction_sections(run, max_bytes)
    document = masked({**ABSENT, **run.document}, run.secrets)
    objective = monitored([run])
    curves = learning_curves(run.metrics, objective)
    system = _or_nothing(system_charts, run)
    return render_page(
        "page.html.j2",
        key=run.name,
        is_live=run.status == "running",
        has_charts=bool(curves.charts or system or any(head.scatters for head in predictions)),
        name=run.title,
        note=run.value("note"),
        run=run,
        document=document,
        config=dict(flat_items(masked(run.config, run.secrets))),
        command=shlex.join(["python", "-m", "runner", *map(str, document.get("overrides") or ())]),
        subtitle=_subtitle(run),
        figures=_or_nothing(figures, run, document, curves.best),
        made_of=_or_nothing(facts, run, document),
        changed=changed(document),
        stopped_by=STOPPED_BY,
        next_step=next_step(run, document, curves.best, objective),
        log=masked(_log(run), run.secrets) if run.status != "completed" else None,
        amounts=_amounts(document["data"]),
        classes=_or_nothing(class_tables, run),
        examples=_or_nothing(examples, run),
        curves=curves,
        mixed=_or_nothing(mixed, run, document),
        mode_results=_or_nothing(mode_results, document),
        system=system,
        gpu_note=_or_nothing(gpu_note, document),
        wait=_or_nothing(wait_section, run),
        predictions=predictions,
        why_no_predictions=why_no_predictions,
        exports=_or_nothing(exports_section, document),
        environment=sections_of(document, list(TITLES)),
    )


def _subtitle(run: RunFolder) -> list[str]:
    folder = [run.path.resolve().name] if run.value("name") else []
    tags = run.value("tags") or []
    mode = run.config.get("mode")
    parts = [
        *folder,
        *tags,
        mode if mode in NO_MODEL else run.value("model"),
        run.value("data"),
        run.value("loader"),
        run.value("backend"),
    ]
    names = [part for part in parts if isinstance(part, str)]
    took = run.value("seconds.total")
    return [*names, *progress(run), *([seconds(took)] if took is not None else []), *_start_date(run)]


def _amounts(data: Mapping[str, Any]) -> dict[str, str]:
    """The amount of data in each split, by unit: samples, or batches per epoch for ready-made batches."""
    units = {"Samples": data.get("samples") or {}, "Batches per epoch": data.get("steps") or {}}
    texts = {
        unit: ", ".join(f"{count:,} {split}" for split, count in counts.items() if count is not None)
        for unit, counts in units.items()
    }
    return {unit: text for unit, text in texts.items() if text}


def _start_date(run: RunFolder) -> list[str]:
    try:
        started = datetime.fromisoformat(str(run.document["started"]))
    except (KeyError, ValueError):
        return []
    return [f"{started.day} {started:%B %Y, %H:%M} UTC"]


def _log(run: RunFolder) -> str | None:
    try:
        lines = (run.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return "\n".join(lines[-LOG_LINES:]) or None


def _or_nothing(section: Any, *given: Any) -> Any:
    """The section, or nothing if its files are damaged: the page shows what it can."""
    try:
        return section(*given)
    except (RunnerError, LookupError, ValueError, TypeError, AttributeError):
        return []
