"""The table of a sweep: for the terminal, as sweep.csv and as summary.md.

Whether jobs that differ only in how they read had the same batches, and ended with the same weights.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from runner.records.columns import title_of
from runner.records.earlier import OF_THE_BATCHES
from runner.records.files import write_atomically, write_table
from runner.records.output import brief, plain, spread, write_rows
from runner.records.run_folder import RunFolder
from runner.sweeps.results import SweepJob, SweepResults

OF_THE_CALLER = ("workers", "use_multiprocessing", "max_queue_size", "timeout_seconds")
"""Keys that only say who asks for batches of the user's own making; all others of `loader=custom` decide about them."""

DIGESTS = {"ids": "batches", "pixels": "pixels", "weights": "weights"}
"""Digests of run.json that loaders must agree in, and what each stands for."""


def agreements(jobs: Sequence[SweepJob]) -> Iterator[str]:
    """A sentence for each set of completed jobs that differ only in the loader; none where there is no such set."""
    groups: dict[str, list[SweepJob]] = {}
    for job in sorted(jobs, key=lambda job: job.planned.number):
        if job.status == "completed" and job.run.document.get("digests"):
            groups.setdefault(_but_for_the_loader(job.run), []).append(job)
    same: dict[str, int] = {}
    for group in groups.values():
        if len(group) > 1:
            compared = [name for name in DIGESTS if all(name in _digests(job) for job in group)]
            different = [name for name in compared if len({_digests(job)[name] for job in group}) > 1]
            if different:
                yield _difference(group, different)
            else:
                told = ", ".join(f"same {DIGESTS[name]}" for name in compared)
                same[told] = same.get(told, 0) + len(group)
    for told, count in same.items():
        yield f"{count} jobs differ only in the loader: {told}"


def _difference(group: Sequence[SweepJob], names: Sequence[str]) -> str:
    first = group[0]
    others = [job for job in group if any(_digests(job)[name] != _digests(first)[name] for name in names)]
    told = " and ".join(f"digests.{name}" for name in names)
    numbers = ", ".join(str(job.planned.number) for job in others)
    return f"job {numbers} differs from job {first.planned.number} only in the loader, and yet in {told}"


def _digests(job: SweepJob) -> dict[str, Any]:
    return {name: value for name, value in job.run.document["digests"].items() if value is not None}


def _but_for_the_loader(run: RunFolder) -> str:
    """The configuration without the keys that only say how the same batches are read."""
    loader = run.config.get("loader") or {}
    custom = loader.get("kind") == "custom"
    kept = {
        key: value for key, value in loader.items() if (key not in OF_THE_CALLER if custom else key in OF_THE_BATCHES)
    }
    return json.dumps(run.config | {"loader": kept}, sort_keys=True, default=str)


SEED = "seed"
SWEEP_CSV, SUMMARY_MD = "sweep.csv", "summary.md"

Rows = list[list[Any]]


def header(results: SweepResults) -> list[str]:
    """The columns of a table of jobs: only keys that are varied, then what came of them."""
    return ["job", *results.plan.varied, "status", *map(title_of, results.figures)]


def rows(results: SweepResults) -> Rows:
    """A row per job that was to be run, best first."""
    return [_row(results, job, results.shown(job)) for job in results.jobs]


def tell(results: SweepResults) -> None:
    """Write the files, and the table to stdout, over seeds where they are varied; beneath it what is to be said."""
    files = write_files(results)
    if results.jobs:
        write_rows(*(over_seeds(results) or (header(results), rows(results))), "table")
        sys.stdout.write("\n")
    sys.stdout.writelines(f"{note}\n" for note in notes(results))
    sys.stdout.writelines(f"table     {file}\n" for file in files)


def notes(results: SweepResults) -> Iterator[str]:
    """Sentences on the sweep as a whole."""
    count = len(results.jobs)
    jobs = f"{count} {'job' if count == 1 else 'jobs'}: " if count else ""
    yield f"{jobs}{results.told_counts()}{_order(results)}"
    if results.repeated:
        equal = ", ".join(f"{job.number} = {job.same_as}" for job in results.repeated)
        verb = "job equals another" if len(results.repeated) == 1 else "jobs equal others"
        yield f"{len(results.repeated)} {verb} and ran once, keys that a loader does not use being left blank: {equal}"
    yield from agreements(results.jobs)
    if results.plan.search is not None and results.plan.search.prune and _has_other_columns(results):
        yield f"nothing could be pruned: {results.objective.key} is no column of metrics.csv"
    if results.plan.search is not None and results.best is not None:
        best = results.best.planned
        yield f"the best is job {best.number}: python -m runner {shlex.join(best.overrides)}"


def unfinished_lines(results: SweepResults) -> Iterator[str]:
    """A line for each job that is neither completed nor given up: how it stands, and why."""
    for job in sorted(results.jobs, key=lambda job: job.planned.number):
        if job.status not in ("completed", "pruned"):
            where = job.run.path if job.planned.refused is None else " ".join(job.planned.overrides)
            yield f"job {job.planned.number} {job.status}{f': {job.error}' if job.error else ''} ({where})"


def over_seeds(results: SweepResults) -> tuple[list[str], Rows] | None:
    """Columns and rows of the mean ± standard deviation (of a sample) per setting; None where seeds are not varied."""
    keys = [key for key in results.plan.varied if key != SEED]
    if SEED not in results.plan.varied:
        return None
    import pandas as pd

    jobs = [job for job in results.jobs if job.status == "completed"]
    if not jobs:
        return None
    settings = [tuple(plain(job.planned.varied.get(key)) for key in keys) for job in jobs]
    named = list(dict.fromkeys(settings))
    table = pd.DataFrame([results.shown(job) for job in jobs], columns=list(results.figures)).astype(float)
    groups = table.groupby([named.index(setting) for setting in settings])
    means, deviations, counts = groups.mean(), groups.std(ddof=1), groups.size()
    best = means.get(results.objective.key, counts)
    order = best.sort_values(ascending=results.objective.goal == "min", na_position="last", kind="stable").index
    lines: Rows = [
        [*named[group], int(counts[group]), *map(_told, means.loc[group], deviations.loc[group])] for group in order
    ]
    return [*keys, "n", *header(results)[2 + len(results.plan.varied) :]], lines


def write_files(results: SweepResults) -> tuple[Path, Path]:
    """Write sweep.csv, with all digits and a row for every job, and summary.md; their paths."""
    csv, summary = results.plan.folder / SWEEP_CSV, results.plan.folder / SUMMARY_MD
    write_table(csv, _csv_rows(results), overwrite=True)
    write_atomically(summary, "\n".join(_summary(results)) + "\n", overwrite=True)
    return csv, summary


def _csv_rows(results: SweepResults) -> Iterator[list[Any]]:
    yield ["job", *results.plan.varied, "status", *results.figures, "error", "same_as"]
    for job in results.jobs:
        yield [*map(plain, _row(results, job, results.values(job))), job.error, None]
    for planned in results.repeated:
        values = [plain(planned.varied.get(key)) for key in results.plan.varied]
        yield [planned.number, *values, "not run", *[None] * len(results.figures), None, planned.same_as]


def _summary(results: SweepResults) -> Iterator[str]:
    yield f"# Sweep {results.plan.folder.name}"
    yield ""
    yield f"    python -m runner {' '.join(results.plan.argv)}"
    yield ""
    over = over_seeds(results)
    if over is not None:
        yield from (*_markdown(*over), "", "n runs a setting: mean ± standard deviation of the sample.", "")
    yield from _markdown(header(results), rows(results))
    yield ""
    yield from (f"- {note}" for note in (*notes(results), *unfinished_lines(results)))


def _markdown(columns: Sequence[str], lines: Rows) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for line in lines:
        yield f"| {' | '.join(_escaped(brief(value)) for value in line)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _has_other_columns(results: SweepResults) -> bool:
    rows = [row for job in results.jobs for row in job.run.metrics]
    return bool(rows) and not any(results.objective.key in row for row in rows)


def _order(results: SweepResults) -> str:
    objective = results.objective
    if objective.key in results.figures:
        return f"; best first, by the {'least' if objective.goal == 'min' else 'most'} {objective.key}"
    return f"; none of them has {objective.key} (sweep.objective)" if results.jobs and results.plan.objective else ""


def _row(results: SweepResults, job: SweepJob, figures: Sequence[Any]) -> list[Any]:
    varied = [job.planned.varied.get(key) for key in results.plan.varied]
    return [job.planned.number, *varied, job.status, *figures]


def _told(mean: float, deviation: float) -> float | str | None:
    """The mean alone of a single run; nothing where none of the runs has a value."""
    if isnan(mean):
        return None
    return mean if isnan(deviation) else spread(mean, deviation)
