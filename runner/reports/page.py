"""report.html of a run, made of its folder and of nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.records.dotted import flat
from runner.records.files import write_atomically
from runner.records.run_folder import RunFolder
from runner.reports.charts import learning_curves, split_legend
from runner.reports.html import NAME, TITLES, render_page, seconds, sections_of
from runner.reports.sections import class_tables, examples, judgements, waiting

LOG = "run.log"
LOG_LINES = 60

ABSENT: Mapping[str, Any] = {
    **dict.fromkeys(("stage", "error", "finished", "git")),
    **{name: {} for name in ("data", "results", "seconds", "from_run", "rerun", "verified")},
    **dict.fromkeys(("overrides", "foreign_files"), ()),
}
"""What stands for sections that a half-written run.json does not have."""

AT_THE_END_BYTES = 5_000_000
"""The size of predictions.csv that is read in a fifth of a second: larger ones are left to `runner.report`."""


def write_report(folder: Path, *, most_bytes: int | None = None) -> Path:
    """Draw the page of the run in `folder`, whatever became of the run, and return its path.

    A predictions.csv of more than `most_bytes` is left out, and the page says so. Raises `RunnerError` where there is
    no run, or the page cannot be written.
    """
    path = folder / NAME
    write_atomically(path, render(RunFolder(folder), most_bytes), overwrite=True)
    return path


def render(run: RunFolder, most_bytes: int | None = None) -> str:
    """The page as text."""
    heads, why_no_heads = judgements(run, most_bytes)
    document = {**ABSENT, **run.document}
    return render_page(
        "page.html.j2",
        name=run.path.resolve().name,
        run=run,
        document=document,
        config=dict(flat(run.config)),
        command=shlex.join(["python", "-m", "runner", *map(str, document.get("overrides") or ())]),
        subtitle=_subtitle(run),
        headline=_headline(document),
        log=_log(run) if run.status != "completed" else None,
        amounts=_amounts(document["data"]),
        classes=_or_nothing(class_tables, run),
        examples=_or_nothing(examples, run),
        panels=learning_curves(run.metrics),
        legend=split_legend(),
        waiting=_or_nothing(waiting, run),
        judgements=heads,
        why_no_judgements=why_no_heads,
        environment=sections_of(document, list(TITLES)),
    )


def _subtitle(run: RunFolder) -> list[str]:
    parts = [run.value("model"), run.value("data"), run.value("loader"), run.value("backend")]
    told = [str(part) for part in parts if isinstance(part, str)]
    took = run.value("seconds.total")
    return [*told, *([seconds(took)] if took is not None else []), *_when(run)]


def _amounts(data: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Splits, what their data is counted in, and how much there is; batches where these come ready-made."""
    counted = [(unit, data.get(name) or {}) for unit, name in (("samples", "samples"), ("batches a pass", "steps"))]
    return [(split, unit, count) for unit, counts in counted for split, count in counts.items() if count is not None]


def _when(run: RunFolder) -> list[str]:
    try:
        started = datetime.fromisoformat(str(run.document["started"]))
    except (KeyError, ValueError):
        return []
    return [f"{started.day} {started:%B %Y, %H:%M} UTC"]


def _headline(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The numbers of the evaluation; the others first, the loss last."""
    evaluated = (document.get("results") or {}).get("evaluate") or {}
    numbers = [(name, value) for name, value in evaluated.items() if isinstance(value, int | float)]
    told = [(f"{evaluated.get('split', '')} {name.replace('_', ' ')}".strip(), value) for name, value in numbers]
    return sorted(told, key=lambda entry: entry[0].endswith("loss"))


def _log(run: RunFolder) -> str | None:
    try:
        lines = (run.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return "\n".join(lines[-LOG_LINES:]) or None


def _or_nothing(section: Any, run: RunFolder) -> Any:
    """A section, or nothing where its files are damaged: the page shows what there is."""
    try:
        return section(run)
    except (RunnerError, LookupError, ValueError):
        return []
