"""The plan of a sweep: sweep.json lists its jobs, and a folder next to it freezes the configuration of each job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from runner.errors import ConfigurationError
from runner.messages import yaml_text
from runner.records.config_yaml import CONFIG_YAML, former_values, with_former_values, write_config
from runner.records.files import to_json, write_atomically
from runner.records.folder import put_aside
from runner.records.heartbeat import Heartbeat, is_alive, process_identity
from runner.records.run_folder import RunFolder
from runner.records.secret_keys import MASK, looks_secret, masked

SWEEP_JSON = "sweep.json"
FROZEN = "frozen"
"""The folder that holds, for each job, its config.yaml and Hydra's files."""

FOLD = "data.fold"
REPEATS = {"seed": "seeds", FOLD: "folds"}
"""Keys whose values repeat one setting, and what these are called; their results are averaged."""


@dataclass(frozen=True)
class PlannedJob:
    """One job: its overrides, the values of the varied keys, and the earlier job that it equals.

    A varied key that has no effect in this job has the value None.
    """

    number: int
    overrides: tuple[str, ...]
    varied: dict[str, Any]
    foreign_files: tuple[str, ...] = ()
    same_as: int | None = None
    refused: str | None = None
    """Why the job cannot run: the schema refused this trial of a search."""

    pruned: str | None = None
    """Why the job was pruned: this trial of a search had little promise."""

    skipped: str | None = None
    """Why the job does not run: another job of its trial failed."""

    @property
    def is_frozen(self) -> bool:
        """Whether the job has a configuration that can run."""
        return self.same_as is None and self.refused is None and self.skipped is None

    def masked(self, secrets: Sequence[str] = ()) -> PlannedJob:
        """The job as it is shown, without secrets."""
        shown = ("overrides", "varied", "refused", "pruned", "skipped")
        return replace(self, **masked({name: getattr(self, name) for name in shown}, secrets))


@dataclass(frozen=True)
class SearchPlan:
    """A search of `trials` in total, in the ranges of the overrides `typed`.

    A trial has `members` jobs, which follow each other: one for each listed seed and fold.
    """

    method: Literal["random", "optuna"]
    trials: int
    seed: int
    typed: tuple[str, ...]
    prune: bool = False
    members: int = 1


@dataclass(frozen=True)
class SweepPlan:
    """All jobs of the sweep in `folder`; of a search, the jobs so far.

    `objective` and `goal` are those of the command line; None: what training monitors. `process` runs the sweep.
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
        """The jobs to run: those that equal no earlier job."""
        return tuple(job for job in self.jobs if job.same_as is None)

    @property
    def members(self) -> int:
        """How many jobs a trial has; without a search, each job is by itself."""
        return 1 if self.search is None else self.search.members

    @property
    def num_trials(self) -> int:
        """The number of trials so far."""
        return len(self.jobs) // self.members

    def trial(self, number: int) -> tuple[PlannedJob, ...]:
        """The jobs of a trial."""
        return self.jobs[number * self.members : (number + 1) * self.members]

    @property
    def is_running(self) -> bool:
        """Whether the process that runs the jobs is alive."""
        return self.process is not None and is_alive(self.process, self.folder / SWEEP_JSON)

    def job_folder(self, number: int) -> Path:
        """The folder of a job."""
        return self.folder / str(number)

    def frozen_folder(self, number: int) -> Path:
        """The folder with the frozen configuration of a job."""
        return self.folder / FROZEN / str(number)

    def config(self, number: int, *, resume: bool = False) -> dict[str, Any]:
        """The whole configuration of a job, as the sweep began; `resume`: changed to resume the job in its folder."""
        config = with_former_values(self._frozen_config(number))
        return config | {"resume": str(self.job_folder(number)), "rerun": None} if resume else config

    def former_overrides(self) -> tuple[str, ...]:
        """Overrides that let more jobs do what the version of the sweep did, where later ones have another default."""
        frozen = next((job.number for job in self.jobs if job.is_frozen), None)
        former = {} if frozen is None else former_values(self._frozen_config(frozen))
        return tuple(f"data.{key}={yaml_text(value)}" for key, value in former.items())

    def _frozen_config(self, number: int) -> dict[str, Any]:
        text = (self.frozen_folder(number) / CONFIG_YAML).read_text(encoding="utf-8")
        config: dict[str, Any] = yaml.safe_load(text)
        return config

    def masked(self) -> SweepPlan:
        """The plan as it is shown, without secrets; values of a varied key that is one are numbered."""
        secrets = RunFolder(self.frozen_folder(self.jobs[0].number)).secrets if self.jobs else []
        numbered = {key: _numbers(job.varied.get(key) for job in self.jobs) for key in self.varied if looks_secret(key)}
        jobs = []
        for job in self.jobs:
            hidden = {key: numbers.get(str(job.varied.get(key))) for key, numbers in numbered.items()}
            jobs.append(replace(shown := job.masked(secrets), varied={**shown.varied, **hidden}))
        argv = masked({"argv": self.argv}, secrets)["argv"]
        return replace(self, argv=tuple(argv), jobs=tuple(jobs))

    def write(self) -> None:
        """Write sweep.json atomically."""
        document = asdict(self)
        del document["folder"]
        write_atomically(self.folder / SWEEP_JSON, to_json(document), overwrite=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Name this process in sweep.json as the one that runs the jobs, until the block ends."""
        replace(self, process=process_identity()).write()
        heartbeat = Heartbeat(self.folder / SWEEP_JSON)
        try:
            yield
        finally:
            heartbeat.close()
            # Read the plan again: a search has added jobs.
            replace(read_sweep(self.folder), process=None).write()


def _numbers(values: Iterable[Any]) -> dict[str, str]:
    """A mask for each distinct value."""
    distinct = dict.fromkeys(str(value) for value in values if value is not None)
    return {text: f"{MASK} ({number})" for number, text in enumerate(distinct, 1)}


def freeze(plan: SweepPlan, number: int, config: dict[str, Any]) -> None:
    """Write the configuration of a job into its frozen folder, which must exist."""
    write_config(plan.frozen_folder(number), config)


def begin_job(plan: SweepPlan, number: int) -> Path:
    """Make the folder of a job, with Hydra's files in it, and move the folder of an earlier attempt aside."""
    folder = plan.job_folder(number)
    put_aside(folder)
    folder.mkdir()
    hydra = plan.frozen_folder(number) / ".hydra"
    if hydra.is_dir():
        shutil.copytree(hydra, folder / ".hydra")
    return folder


def read_sweep(folder: Path, key: str = "sweep") -> SweepPlan:
    """The plan of the sweep in `folder`; `key`: the configuration key that names the folder, for messages.

    Raises `ConfigurationError` if the folder holds no sweep.
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
    """The folder of the newest sweep below `root`/sweeps; None if there is none."""
    folders = sorted(file.parent for file in (root / "sweeps").glob(f"*/{SWEEP_JSON}"))
    return folders[-1] if folders else None


def _job(document: dict[str, Any]) -> PlannedJob:
    lists: dict[str, Sequence[str]] = {name: tuple(document[name]) for name in ("overrides", "foreign_files")}
    return PlannedJob(**{**document, **lists})


def _search(document: dict[str, Any]) -> SearchPlan:
    return SearchPlan(**{**document, "typed": tuple(document["typed"])})
