"""out_of_fold.csv: the prediction of each sample by the model of a sweep over folds that never saw it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.records.cells import from_cell
from runner.records.files import write_table
from runner.records.output import csv_text
from runner.records.predictions import FOLD_CSV, PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.sweeps.results import NOT_RUN, SweepJob, SweepResults
from runner.sweeps.sweep_plan import FOLD

OUT_OF_FOLD_CSV = "out_of_fold.csv"


def write_out_of_fold(results: SweepResults) -> list[Path]:
    """Write the table next to that of the sweep; its path, or none if no job has predictions of its fold.

    The rows are those of the jobs, one after the other, below the varied keys, `job` and `fold`.
    """
    if not (tables := _tables(results)):
        return []
    file = results.plan.folder / OUT_OF_FOLD_CSV
    write_table(file, _rows(results, tables), overwrite=True)
    return [file]


def fold_notes(results: SweepResults) -> Iterator[str]:
    """Sentences on folds whose predictions are missing, in each setting that was not given up."""
    tables, every = _tables(results), _jobs(results)
    given_up = {_setting(results, job) for job in every if job.planned.refused or job.status in ("pruned", NOT_RUN)}
    jobs = [job for job in every if _setting(results, job) not in given_up]
    planned = {job.planned.varied[FOLD] for job in jobs}
    for setting in dict.fromkeys(_setting(results, job) for job in jobs):
        of_setting = [job for job in jobs if _setting(results, job) == setting]
        folds = max(int(job.run.value("data.folds") or 0) for job in of_setting)
        found = {job.planned.varied[FOLD] for job in of_setting if job.planned.number in tables}
        if missing := sorted((planned | set(range(folds))) - found):
            of = ", ".join(f"{key}={value}" for key, value in zip(_keys(results), setting, strict=True))
            numbers = f"fold{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"
            yield f"{OUT_OF_FOLD_CSV} has no predictions of {numbers}{f' of {of}' if of else ''}"


def _jobs(results: SweepResults) -> list[SweepJob]:
    """The jobs by number; none without folds."""
    return sorted(results.jobs, key=lambda job: job.planned.number) if FOLD in results.plan.varied else []


def _keys(results: SweepResults) -> list[str]:
    return [key for key in results.plan.varied if key != FOLD]


def _setting(results: SweepResults, job: SweepJob) -> tuple[str, ...]:
    """The values of a job, apart from its fold."""
    return tuple(csv_text(job.planned.varied.get(key)) for key in _keys(results))


def _tables(results: SweepResults) -> dict[int, Path]:
    """The predictions of the fold of each job that has some, with the same columns as the first of them."""
    found = {job.planned.number: file for job in _jobs(results) if (file := _table(job.run)) is not None}
    headers = {number: _header(file) for number, file in found.items()}
    return {number: file for number, file in found.items() if headers[number] == next(iter(headers.values()))}


def _table(run: RunFolder) -> Path | None:
    """The predictions of the samples that a completed run validated on; None where it has none."""
    split = run.value("results.predict.split") if run.status == "completed" else None
    file = run.path / (PREDICTIONS_CSV if split == "validation" else FOLD_CSV)
    return file if split is not None and file.is_file() else None


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as opened:
        return next(csv.reader(opened), [])


def _rows(results: SweepResults, tables: dict[int, Path]) -> Iterator[list[Any]]:
    yield [*_keys(results), "job", "fold", *_header(next(iter(tables.values())))]
    for job in _jobs(results):
        if (file := tables.get(job.planned.number)) is None:
            continue
        begin = [*_setting(results, job), job.planned.number, job.planned.varied[FOLD]]
        with file.open(encoding="utf-8", newline="") as opened:
            rows = csv.reader(opened)
            next(rows)
            yield from ([*begin, *map(from_cell, row)] for row in rows)
