"""A sweep as it is when it begins: every job's configuration written down, and which jobs are one and the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.config.jobs import Job, Sweep
from runner.config.launch import launch
from runner.errors import RunnerError
from runner.loaders.settings import LoaderSettings
from runner.records.dotted import value_at
from runner.records.sweep import FROZEN, PlannedJob, SweepPlan, freeze
from runner.settings import Settings


def freeze_sweep(sweep: Sweep, folder: Path, argv: Sequence[str]) -> SweepPlan:
    """Write all jobs into the sweep's folder; from then on no other file says what they are."""
    numbers: dict[str, int] = {}
    planned = []
    for number, job in enumerate(sweep.jobs):
        first = numbers.setdefault(identity(job.settings), number)
        files = tuple(map(str, job.foreign_files))
        same_as = None if first == number else first
        planned.append(PlannedJob(number, job.typed, varied_values(job, sweep.varied), files, same_as))
    settings = sweep.settings
    plan = SweepPlan(folder, tuple(argv), sweep.varied, tuple(planned), settings.objective, settings.goal)
    (folder / FROZEN).mkdir()
    for planned_job in plan.distinct:
        freeze_job(plan, planned_job.number, sweep.jobs[planned_job.number])
    plan.write()
    return plan


def freeze_job(plan: SweepPlan, number: int, job: Job) -> None:
    """Let Hydra write its files as for a run in the job's folder, and put them and the configuration aside."""
    folder = plan.job_folder(number)
    if launch(job, folder, lambda job, folder: 0):
        raise RunnerError(f"job {number} of {plan.folder} cannot be composed by Hydra: {' '.join(job.typed)}")
    folder.rename(plan.frozen_folder(number))
    freeze(plan, number, job.settings.document())


def effective(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, with the keys that the loader does not use at their defaults."""
    document, loader = settings.document(), settings.loader
    return document | ({"loader": loader.normalised().document()} if isinstance(loader, LoaderSettings) else {})


def identity(settings: Settings) -> str:
    """Equal for jobs that do the same."""
    return json.dumps(effective(settings), sort_keys=True)


def varied_values(job: Job, keys: Sequence[str]) -> dict[str, Any]:
    """The values of the varied keys: of a group the file chosen, None for a key of the loader that has no effect."""
    typed = dict(text.lstrip("~").split("=", 1) for text in job.typed if "=" in text)
    document, loader = job.settings.document(), job.settings.loader
    idle = {f"loader.{key}" for key in loader.idle_keys()} if isinstance(loader, LoaderSettings) else set()
    values = {}
    for key in keys:
        value = value_at(document, key)
        is_group = value is None or (isinstance(value, Mapping) and "kind" in value)
        values[key] = None if key in idle else typed.get(key) if is_group else value
    return values
