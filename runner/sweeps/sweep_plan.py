"""What a sweep is, as it was when it began: sweep.json, and every job's configuration frozen beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from runner.errors import ConfigurationError
from runner.records.config_yaml import NAME as CONFIG_YAML
from runner.records.config_yaml import write_config
from runner.records.files import to_json, write_atomically
from runner.records.folder import put_aside
from runner.records.record import is_alive, process_identity

SWEEP_JSON = "sweep.json"
FROZEN = "frozen"
"""The folder with a folder per job: its config.yaml, and Hydra's files."""


@dataclass(frozen=True)
class PlannedJob:
    """One job: what was typed for it, the values of the varied keys that have an effect, and the job it equals."""

    number: int
    overrides: tuple[str, ...]
    varied: dict[str, Any]
    foreign_files: tuple[str, ...] = ()
    same_as: int | None = None
    refused: str | None = None
    """Why it cannot be run: a trial of a search that the schema does not accept."""

    pruned: str | None = None
    """Why it was given up: a trial of a search whose epochs promised too little."""


@dataclass(frozen=True)
class SearchPlan:
    """How the jobs of a search are found: `trials` of them in all, in the ranges of what was `typed`.

    `prune`: whether trials that promise too little are given up.
    """

    method: Literal["random", "optuna"]
    trials: int
    seed: int
    typed: tuple[str, ...]
    prune: bool = False


@dataclass(frozen=True)
class SweepPlan:
    """All jobs of a sweep in `folder`; `objective` and `goal` as typed, None for what training monitors.

    Where it is a search, the jobs so far.
    """

    folder: Path
    argv: tuple[str, ...]
    varied: tuple[str, ...]
    jobs: tuple[PlannedJob, ...]
    objective: str | None = None
    goal: Literal["min", "max"] | None = None
    search: SearchPlan | None = None
    process: dict[str, Any] | None = None

    @property
    def distinct(self) -> tuple[PlannedJob, ...]:
        """The jobs that equal no earlier one: those that are run."""
        return tuple(job for job in self.jobs if job.same_as is None)

    @property
    def is_running(self) -> bool:
        """Whether the process that runs the jobs still lives."""
        return self.process is not None and is_alive(self.process)

    def job_folder(self, number: int) -> Path:
        """Where a job writes."""
        return self.folder / str(number)

    def frozen_folder(self, number: int) -> Path:
        """Where a job's configuration lies."""
        return self.folder / FROZEN / str(number)

    def config(self, number: int, *, again: bool = False) -> dict[str, Any]:
        """A job's whole configuration, as it was when the sweep began; `again`: to go on in the folder it has."""
        text = (self.frozen_folder(number) / CONFIG_YAML).read_text(encoding="utf-8")
        config: dict[str, Any] = yaml.safe_load(text)
        return config | {"resume": str(self.job_folder(number)), "rerun": None} if again else config

    def write(self) -> None:
        """Write sweep.json; whoever reads it finds it whole."""
        document = asdict(self)
        del document["folder"]
        write_atomically(self.folder / SWEEP_JSON, to_json(document), overwrite=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Say in sweep.json, while the block lasts, that this process runs the jobs."""
        replace(self, process=process_identity()).write()
        try:
            yield
        finally:
            # Read again: a search has added jobs.
            replace(read_sweep(self.folder), process=None).write()


def freeze(plan: SweepPlan, number: int, config: dict[str, Any]) -> None:
    """Write a job's configuration into its frozen folder, which exists."""
    write_config(plan.frozen_folder(number), config)


def begin_job(plan: SweepPlan, number: int) -> Path:
    """Make the folder of a job, with Hydra's files in it; what an earlier attempt left is moved beside it."""
    folder = plan.job_folder(number)
    put_aside(folder)
    folder.mkdir()
    hydra = plan.frozen_folder(number) / ".hydra"
    if hydra.is_dir():
        shutil.copytree(hydra, folder / ".hydra")
    return folder


def read_sweep(folder: Path, key: str = "sweep") -> SweepPlan:
    """The plan of the sweep in `folder`, which the key `key` names.

    Raises `ConfigurationError` where that is no sweep.
    """
    file = folder / SWEEP_JSON
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        jobs = tuple(_job(job) for job in document.pop("jobs"))
        argv, varied = tuple(document.pop("argv")), tuple(document.pop("varied"))
        search = document.pop("search", None)
        return SweepPlan(folder, argv, varied, jobs, search=search and _search(search), **document)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{key} must be the folder of a sweep, got {folder}, which has no {SWEEP_JSON}; "
            "give a folder of outputs/sweeps, or latest"
        ) from error
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ConfigurationError(f"{key}={folder}: {file} cannot be read: {error}") from error


def newest_sweep(root: Path) -> Path | None:
    """The newest sweep below `root`/sweeps; None where there is none."""
    folders = sorted(file.parent for file in (root / "sweeps").glob(f"*/{SWEEP_JSON}"))
    return folders[-1] if folders else None


def _job(document: dict[str, Any]) -> PlannedJob:
    lists: dict[str, Sequence[str]] = {name: tuple(document[name]) for name in ("overrides", "foreign_files")}
    return PlannedJob(**{**document, **lists})


def _search(document: dict[str, Any]) -> SearchPlan:
    return SearchPlan(**{**document, "typed": tuple(document["typed"])})
