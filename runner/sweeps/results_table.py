"""The table of a sweep, for the terminal, as sweep.csv and as summary.md, with notes below it.

One of the notes says whether jobs that differ only in the loader had the same batches and ended with the same weights.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from runner.errors import BadSampleError
from runner.messages import lines_for, plural
from runner.records.columns import title_of
from runner.records.earlier import OF_THE_BATCHES
from runner.records.files import write_atomically, write_table
from runner.records.output import brief, csv_text, spread, write_rows
from runner.records.run_folder import RunFolder
from runner.sweeps.out_of_fold import fold_notes, write_out_of_fold
from runner.sweeps.results import NOT_RUN, SweepJob, SweepResults
from runner.sweeps.sweep_plan import FOLD, REPEATS
from runner.sweeps.trials import best_trial, trials_of

SWEEP_CSV, SUMMARY_MD = "sweep.csv", "summary.md"

TableRows = list[list[Any]]


def report_results(results: SweepResults) -> None:
    """Write the files, and print the table and its notes; the table is over seeds and folds if these are varied."""
    files = write_files(results)
    if results.jobs:
        write_rows(*(over_repeats(results) or (header(results), rows(results))), "table", rest=f"{SWEEP_CSV} has all")
        sys.stdout.write("\n")
    sys.stdout.writelines(f"{line}\n" for note in notes(results) for line in lines_for(sys.stdout, note))
    sys.stdout.writelines(f"table     {file}\n" for file in files)
    sys.stdout.writelines(_next(results))


def _next(results: SweepResults) -> Iterator[str]:
    """Lines with the command that runs the jobs which did not complete; a search leaves its failed trials."""
    done = ("completed", "pruned", "failed", NOT_RUN) if results.plan.search else ("completed",)
    number = sum(job.status not in done for job in results.jobs)
    if number:
        modules = [word for word in results.plan.argv if word.startswith("extensions=")]
        command = shlex.join(["-m", f"sweep.resume={results.plan.folder}", *modules])
        yield f"next      python -m runner {command}\n"
        yield f"          runs the {plural(number, 'job')} that did not complete\n"
        yield from _bad_samples(results.jobs)


def _bad_samples(jobs: Sequence[SweepJob]) -> Iterator[str]:
    """Lines on jobs that a bad sample ended: resumed, they would end in the same way."""
    errors = [(job.run.document.get("error") or {}).get("type") for job in jobs]
    if number := errors.count(BadSampleError.__name__):
        yield f"          a bad sample ended {plural(number, 'job')}: repair it, or start the sweep again with\n"
        yield "          data.on_bad=skip, which leaves bad samples out; mode=check lists all of them\n"


def header(results: SweepResults) -> list[str]:
    """The column titles: the varied keys, the status, the results."""
    return ["job", *results.plan.varied, "status", *map(title_of, results.columns)]


def rows(results: SweepResults) -> TableRows:
    """A row for each distinct job, best first."""
    return [_row(results, job, results.displayed(job)) for job in results.jobs]


def repeats(results: SweepResults) -> tuple[str, ...]:
    """The varied keys that repeat a setting."""
    return tuple(key for key in results.plan.varied if key in REPEATS)


def over_repeats(results: SweepResults) -> tuple[list[str], TableRows] | None:
    """Column titles and a row for each setting, with mean ± sample standard deviation over its seeds and folds.

    With folds, `n` says of how many; in a search too, where trials that lack some come last. None if neither is varied
    or no job completed.
    """
    keys = [key for key in results.plan.varied if key not in REPEATS]
    if not repeats(results):
        return None
    import pandas as pd

    jobs = [job for job in results.jobs if job.status == "completed"]
    if not jobs:
        return None
    members = results.plan.members
    trials = [(str(job.planned.number // members),) if members > 1 else () for job in jobs]
    settings = [(*trial, *_setting(job, keys)) for trial, job in zip(trials, jobs, strict=True)]
    distinct = list(dict.fromkeys(settings))
    table = pd.DataFrame([results.displayed(job) for job in jobs], columns=list(results.columns)).astype(float)
    groups = table.groupby([distinct.index(setting) for setting in settings])
    means, deviations, counts = groups.mean(), groups.std(ddof=1), groups.size()
    objective = means.get(results.objective.key, counts)
    ascending = results.objective.goal == "min"
    order = objective.sort_values(ascending=ascending, na_position="last", kind="stable").index
    if members > 1:
        order = (-counts[order]).sort_values(kind="stable").index
    lines: TableRows = [
        [
            *distinct[group],
            _count(results, keys, distinct[group], int(counts[group])),
            *map(_mean_cell, means.loc[group], deviations.loc[group]),
        ]
        for group in order
    ]
    return [*(("trial",) if members > 1 else ()), *keys, "n", *header(results)[2 + len(results.plan.varied) :]], lines


def _setting(job: SweepJob, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(csv_text(job.planned.varied.get(key)) for key in keys)


def _count(results: SweepResults, keys: Sequence[str], setting: tuple[str, ...], count: int) -> int | str:
    """The number of completed jobs of a setting; with folds or in a search, of how many there must be."""
    if results.plan.members > 1:
        return f"{count} of {results.plan.members}"
    if FOLD not in results.plan.varied:
        return count
    jobs = [job for job in results.jobs if _setting(job, keys) == setting]
    folds = max(job.run.value("data.folds") or 0 for job in jobs)
    others = len({_setting(job, [key for key in repeats(results) if key != FOLD]) for job in jobs})
    return f"{count} of {max(len(jobs), folds * others)}"


def _mean_cell(mean: float, deviation: float) -> float | str | None:
    """The mean and its deviation; only the mean of a single run; None if no run has a value."""
    if isnan(mean):
        return None
    return mean if isnan(deviation) else spread(mean, deviation)


def write_files(results: SweepResults) -> tuple[Path, ...]:
    """Write sweep.csv, with all digits and a row for every job, summary.md and, with folds, out_of_fold.csv.

    Returns their paths.
    """
    csv, summary = results.plan.folder / SWEEP_CSV, results.plan.folder / SUMMARY_MD
    write_table(csv, _csv_rows(results), overwrite=True)
    write_atomically(summary, "\n".join(_summary(results)) + "\n", overwrite=True)
    return csv, summary, *write_out_of_fold(results)


def _csv_rows(results: SweepResults) -> Iterator[list[Any]]:
    yield ["job", *results.plan.varied, "status", *results.columns, "error", "same_as"]
    for job in results.jobs:
        yield [*map(csv_text, _row(results, job, results.values(job))), job.error, None]
    for planned in results.repeated:
        values = [csv_text(planned.varied.get(key)) for key in results.plan.varied]
        yield [planned.number, *values, "not run", *[None] * len(results.columns), None, planned.same_as]


def _row(results: SweepResults, job: SweepJob, values: Sequence[Any]) -> list[Any]:
    varied = [job.planned.varied.get(key) for key in results.plan.varied]
    return [job.planned.number, *varied, job.status, *values]


def _summary(results: SweepResults) -> Iterator[str]:
    yield f"# Sweep {results.plan.folder.name}"
    yield ""
    yield f"    python -m runner {' '.join(results.plan.argv)}"
    yield ""
    means = over_repeats(results)
    if means is not None:
        yield from (*_markdown(*means), "", "n: number of runs; mean ± sample standard deviation.", "")
    yield from _markdown(header(results), rows(results))
    yield ""
    yield from (f"- {note}" for note in (*notes(results), *unfinished_lines(results)))


def _markdown(columns: Sequence[str], lines: TableRows) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for line in lines:
        yield f"| {' | '.join(_escaped(brief(value)) for value in line)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def notes(results: SweepResults) -> Iterator[str]:
    """Sentences about the sweep as a whole."""
    jobs = f"{plural(len(results.jobs), 'job')}: " if results.jobs else ""
    yield f"{jobs}{results.status_text()}{_order(results)}"
    if results.plan.members > 1 and results.jobs:
        statuses = [trial.status for trial in trials_of(results)]
        counts = ", ".join(f"{statuses.count(status)} {status}" for status in sorted(set(statuses)))
        yield f"{plural(len(statuses), 'trial')} of {results.plan.members} jobs each: {counts}"
    if results.repeated:
        pairs = ", ".join(f"{job.number} = {job.same_as}" for job in results.repeated)
        number = len(results.repeated)
        equal = "1 job equals an earlier one and was" if number == 1 else f"{number} jobs equal earlier ones and were"
        yield f"{equal} not run (a key that the loader does not use is left blank): {pairs}"
    yield from fold_notes(results)
    yield from agreements(results.jobs)
    if results.plan.search is not None and results.plan.search.prune and _has_other_columns(results):
        yield f"no trial could be pruned: metrics.csv has no column {results.objective.key}"
    if results.plan.search is not None and (best := best_trial(results)) is not None:
        planned = best.jobs[0].planned
        if len(best.jobs) == 1:
            yield f"the best is job {planned.number}: {best_command(results)}"
        else:
            keys, last = repeats(results), best.jobs[-1].planned.number
            yield (
                f"the best is trial {best.number}, jobs {planned.number} to {last}; without their "
                f"{' and '.join(REPEATS[key] for key in keys)}: {best_command(results)}"
            )


def best_command(results: SweepResults) -> str:
    """The command that runs the best job again; of a trial of several jobs without what they repeat; else empty."""
    best = best_trial(results)
    if best is None:
        return ""
    overrides = best.jobs[0].planned.overrides
    words = overrides if len(best.jobs) == 1 else _without(overrides, repeats(results))
    return shlex.join(["python", "-m", "runner", *words])


def _without(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The overrides without these keys, and without those that need a fold."""
    left_out = {*keys, *(("data.folds", "data.fold_column") if FOLD in keys else ())}
    return [text for text in overrides if text.partition("=")[0] not in left_out]


def _order(results: SweepResults) -> str:
    objective = results.objective
    if objective.key in results.columns:
        return f"; sorted by {objective.key}, {'lowest' if objective.goal == 'min' else 'highest'} first"
    if not results.jobs or not results.plan.objective:
        return ""
    return f"; no job has {objective.key} (sweep.objective){results.objective_problem()}"


def _has_other_columns(results: SweepResults) -> bool:
    rows = [row for job in results.jobs for row in job.run.metrics]
    return bool(rows) and not any(results.objective.key in row for row in rows)


def unfinished_lines(results: SweepResults) -> Iterator[str]:
    """A line for each job that neither completed nor was pruned: its status, the reason, its folder or overrides.

    A job that failed takes its trial with it.
    """
    members = results.plan.members
    for job in sorted(results.jobs, key=lambda job: job.planned.number):
        if job.status not in ("completed", "pruned", NOT_RUN):
            number, where = job.planned.number, job.run.path
            trial = f"trial {number // members} failed with its " if members > 1 and job.status == "failed" else ""
            shown = where if job.planned.refused is None else " ".join(job.planned.overrides)
            reason = f": {job.error}" if job.error else ""
            yield f"{trial}job {number}{'' if trial else f' {job.status}'}{reason} ({shown})"


READING_KEYS = ("workers", "use_multiprocessing", "max_queue_size", "timeout_seconds")
"""Keys of `loader=custom` that only say how its batches are fetched; all its other keys decide what they hold."""

DIGESTS = {"ids": "batches", "pixels": "pixels", "weights": "weights"}
"""The digests of run.json in which loaders must agree, and what each stands for."""


def agreements(jobs: Sequence[SweepJob]) -> Iterator[str]:
    """Sentences on completed jobs that differ only in the loader: in what they agree, or which job differs."""
    groups: dict[str, list[SweepJob]] = {}
    for job in sorted(jobs, key=lambda job: job.planned.number):
        if job.status == "completed" and job.run.document.get("digests"):
            groups.setdefault(_without_loader(job.run), []).append(job)
    agreeing: dict[str, list[int]] = {}
    for group in groups.values():
        if len(group) > 1:
            compared = [name for name in DIGESTS if all(name in _digests(job) for job in group)]
            different = [name for name in compared if len({_digests(job)[name] for job in group}) > 1]
            if different:
                yield _difference(group, different)
            else:
                text = ", ".join(f"same {DIGESTS[name]}" for name in compared)
                agreeing.setdefault(text, []).append(len(group))
    for text, sizes in agreeing.items():
        many, where = (f" in {len(sizes)} groups", " within their group") if len(sizes) > 1 else ("", "")
        yield f"{sum(sizes)} jobs{many} differ only in the loader{where}: {text}"


def _difference(group: Sequence[SweepJob], names: Sequence[str]) -> str:
    first = group[0]
    others = [job for job in group if any(_digests(job)[name] != _digests(first)[name] for name in names)]
    numbers = ", ".join(str(job.planned.number) for job in others)
    jobs = f"job {numbers} differs" if len(others) == 1 else f"jobs {numbers} differ"
    digests = " and ".join(f"digests.{name}" for name in names)
    return f"{jobs} from job {first.planned.number} only in the loader, but {digests} are not the same"


def _digests(job: SweepJob) -> dict[str, Any]:
    return {name: value for name, value in job.run.document["digests"].items() if value is not None}


def _without_loader(run: RunFolder) -> str:
    """The configuration without the keys that only say how the same batches are read."""
    loader = run.config.get("loader") or {}
    custom = loader.get("kind") == "custom"
    kept = {
        key: value for key, value in loader.items() if (key not in READING_KEYS if custom else key in OF_THE_BATCHES)
    }
    return json.dumps(run.config | {"loader": kept}, sort_keys=True, default=str)
