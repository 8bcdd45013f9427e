"""report.html: one file that opens from disk, made of a run's folder and of nothing else."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from runner.errors import RunnerError
from runner.records.files import write_atomically
from runner.reports.curves import learning_curves
from runner.reports.sections import class_tables, examples, judgements, waiting
from runner.store.differences import flat
from runner.store.run import Run

NAME = "report.html"
LOG = "run.log"
LOG_LINES = 60
NOT_SHOWN = ("weights_per_epoch",)

ABSENT: Mapping[str, Any] = {
    **dict.fromkeys(("stage", "error", "finished", "git")),
    **{name: {} for name in ("data", "results", "seconds", "from_run")},
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
    write_atomically(path, render(Run(folder, folder.resolve().name), most_bytes), overwrite=True)
    return path


def render(run: Run, most_bytes: int | None = None) -> str:
    """The page as text."""
    template = _environment().from_string(_resource("page.html.j2"))
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    heads, why_no_heads = judgements(run, most_bytes)
    document = {**ABSENT, **run.document}
    return template.render(
        run=run,
        document=document,
        config=dict(flat(run.config)),
        command=shlex.join(["python", "-m", "runner", *map(str, document.get("overrides") or ())]),
        subtitle=_subtitle(run),
        headline=_headline(document),
        log=_log(run) if run.status != "completed" else None,
        samples=(document.get("data") or {}).get("samples") or {},
        classes=_or_nothing(class_tables, run),
        examples=_or_nothing(examples, run),
        panels=learning_curves(run.metrics),
        waiting=_or_nothing(waiting, run),
        judgements=heads,
        why_no_judgements=why_no_heads,
        environment=list(_environment_of(document)),
        style=Markup(_resource("page.css")),
        script=Markup(script),
        script_digest=digest,
    )


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, share=share, seconds=seconds, title=lambda text: text.replace("_", " "))
    return environment


def number(value: Any) -> str:
    """A value as a person reads it: whole numbers in groups of three digits, others with four."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return (
            f"{value:.4f}" if 0.001 <= abs(value) < 1000 else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(number, value))}]"
    return str(value)


def share(value: float | None) -> str:
    """A share of one in per cent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return "–"
    minutes, rest = divmod(float(value), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def _subtitle(run: Run) -> list[str]:
    parts = [run.value("model"), run.value("data"), run.value("loader"), run.value("backend")]
    told = [str(part) for part in parts if isinstance(part, str)]
    took = run.value("seconds.total")
    return [*told, *([seconds(took)] if took is not None else []), *_when(run)]


def _when(run: Run) -> list[str]:
    try:
        started = datetime.fromisoformat(str(run.document["started"]))
    except (KeyError, ValueError):
        return []
    return [f"{started.day} {started:%B %Y, %H:%M} UTC"]


def _headline(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The numbers of the evaluation; the others first, the loss last."""
    evaluated = (document.get("results") or {}).get("evaluate") or {}
    numbers = [(name, value) for name, value in evaluated.items() if isinstance(value, int | float)]
    return sorted(numbers, key=lambda entry: entry[0].endswith("loss"))


def _environment_of(document: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, Any]]]]:
    titles = {"versions": "Packages", "machine": "Machine", "git": "Code", "seeds": "Seeds", "digests": "Digests"}
    sections = {title: document.get(name) for name, title in titles.items()}
    return [(title, list(_shown(section))) for title, section in sections.items() if section]


def _shown(section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((key, value) for key, value in flat(section) if value is not None and key not in NOT_SHOWN)


def _log(run: Run) -> str | None:
    try:
        lines = (run.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return "\n".join(lines[-LOG_LINES:]) or None


def _or_nothing(section: Any, run: Run) -> Any:
    """A section, or nothing where its files are damaged: the page shows what there is."""
    try:
        return section(run)
    except (RunnerError, LookupError, ValueError):
        return []


def _resource(name: str) -> str:
    return files("runner.reports").joinpath(name).read_text(encoding="utf-8")
