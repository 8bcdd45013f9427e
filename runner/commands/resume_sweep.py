"""The rest of an earlier sweep: `sweep.resume`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from runner.commands.prepare_sweep import check_ends
from runner.commands.search_space import read_searched
from runner.config.compose import EXTENSIONS
from runner.config.files import open_library
from runner.config.overrides import parse
from runner.config.validation import validate
from runner.errors import ConfigurationError
from runner.modes.resume import resumable
from runner.records.heartbeat import describe_process, is_visible
from runner.records.run_folder import LATEST, RunFolder, mark_killed
from runner.settings import Settings
from runner.sweeps.process import JobAttempt
from runner.sweeps.results import NOT_RUN, SweepJob
from runner.sweeps.settings import SweepSettings
from runner.sweeps.sweep_plan import SWEEP_JSON, SearchPlan, SweepPlan, newest_sweep, read_sweep

TAKEOVER = "sweep.takeover=true"


def unfinished_jobs(
    name: Path, extensions: Sequence[str], *, root: Path, takeover: bool = False
) -> tuple[SweepPlan, list[JobAttempt]]:
    """The sweep of that name (`latest`: the newest below `root`), and its jobs to run: all that did not complete.

    Failed and pruned trials of a search do not run again. With `takeover`, what cannot be seen from here counts as
    ended.

    Raises `ConfigurationError` if there is no such sweep, if it is still running, or if a job to run names code of a
    module that `extensions` does not list.
    """
    plan = read_sweep(_folder(name, root), "sweep.resume")
    if plan.process is not None and plan.is_running and not (takeover and not is_visible(plan.process)):
        where = describe_process(plan.process, plan.folder / SWEEP_JSON, TAKEOVER)
        raise ConfigurationError(
            f"sweep.resume must be a sweep that has ended, got {plan.folder}, which is still running on {where}"
        )
    runs = {job.number: RunFolder(plan.job_folder(job.number)) for job in plan.distinct}
    lost = [run for run in runs.values() if takeover and run.status == "running" and not _is_visible(run)]
    alive = [number for number, run in runs.items() if run.status == "running" and run not in lost]
    if alive:
        jobs = ", ".join(map(str, alive))
        mend = "" if all(_is_visible(runs[number]) for number in alive) else f"; if they have ended, add {TAKEOVER}"
        raise ConfigurationError(
            f"sweep.resume must be a sweep whose jobs have ended, got {plan.folder}, of which {jobs} still run; "
            f"stop them first{mend}"
        )
    for run in lost:
        mark_killed(run.path)
        runs[int(run.path.name)] = RunFolder(run.path)
    attempts = list(_attempts(plan, runs))
    configs = [plan.config(attempt.number) | {EXTENSIONS: list(extensions)} for attempt in attempts]
    if problems := dict.fromkeys(problem.text for config in configs for problem in validate(config).problems):
        raise ConfigurationError(list(problems))
    return plan, attempts


def _is_visible(run: RunFolder) -> bool:
    return is_visible(run.document.get("process") or {})


def more_trials(plan: SweepPlan, search: SearchPlan, settings: SweepSettings, extensions: Sequence[str]) -> SweepPlan:
    """The search with the number of trials requested now, whose jobs may import the modules of `extensions`.

    Raises `ConfigurationError` for another objective, for fewer trials than there are already, or if new trials cannot
    run.
    """
    if settings.objective is not None:
        raise ConfigurationError(
            f"sweep.objective must stay the one of {plan.folder}, got {settings.objective}; leave it out, or start "
            "another search"
        )
    trials, num_trials = settings.trials or search.trials, plan.num_trials
    if trials < num_trials:
        raise ConfigurationError(
            f"sweep.trials must be at least {num_trials}, the trials that {plan.folder} has, got {trials}; raise it"
        )
    typed = search.typed
    if trials > num_trials:
        typed = _with_extensions((*typed, *plan.former_overrides()), extensions, search.members)
    return replace(plan, search=replace(search, trials=trials, typed=typed))


def _with_extensions(typed: Sequence[str], extensions: Sequence[str], members: int) -> tuple[str, ...]:
    """The overrides of a search, checked, with these modules in place of those it listed."""
    with open_library() as library:
        kept = [each.input_line or "" for each in parse(typed, library)[0] if each.key_or_group != EXTENSIONS]
        listed = [f"{EXTENSIONS}=[{','.join(extensions)}]"] if extensions else []
        space = read_searched([*kept, *listed], library, members)
        check_ends(space, library)
    return space.overrides


def _folder(name: Path, root: Path) -> Path:
    if str(name) != LATEST:
        return name
    newest = newest_sweep(root)
    if newest is None:
        raise ConfigurationError(
            f"sweep.resume={LATEST} must find a sweep, but there is none in {root / 'sweeps'}; start one with -m"
        )
    return newest


def _attempts(plan: SweepPlan, runs: dict[int, RunFolder]) -> Iterator[JobAttempt]:
    done = ("completed", "failed", "pruned", NOT_RUN) if plan.search else ("completed",)
    for number, run in runs.items():
        if SweepJob(plan.jobs[number], run).status not in done:
            was_ended = run.status in ("interrupted", "killed")
            yield JobAttempt(plan.jobs[number], resume=was_ended and _is_resumable(plan, number))


def _is_resumable(plan: SweepPlan, number: int) -> bool:
    """Whether an interrupted job can be resumed; else it starts again."""
    config = plan.config(number, resume=True)
    try:
        return resumable(Settings.model_validate_json(json.dumps(config))) is not None
    except (ConfigurationError, ValidationError):  # a job that evaluates, or had debug set, cannot be resumed
        return False
