"""One run as its files tell it, whatever became of it.

run.json as anyone reads it, whatever became of the run.

Where runs lie, and which one somebody means.

A run whose process is known to be gone, for readers on other hosts: they cannot see that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import NAME as CONFIG_YAML
from runner.records.dotted import value_at
from runner.records.files import to_json, write_atomically
from runner.records.metrics import read_metrics
from runner.records.record import RUN_JSON, is_alive


def read_run(folder: Path) -> dict[str, Any]:
    """The document of the run in `folder`; changes no file.

    `status` is ``killed`` where the file says ``running`` and the process that wrote it is gone
    from this host. Of a process on another host nothing is known: that run stays ``running``.
    Raises `RunnerError`, naming the file, where it is missing or no run's document.
    """
    path = folder / RUN_JSON
    document = _document(path)
    if document["status"] == "running" and not is_alive(document.get("process") or {}):
        # Read again, now that nobody writes: it may have ended well since the first reading.
        document = _document(path)
        if document["status"] == "running":
            document["status"] = "killed"
    return document


def _document(path: Path) -> dict[str, Any]:
    document = _loaded(path)
    if not isinstance(document, dict) or "status" not in document:
        raise RunnerError(f"{path} is no record of a run: it has no status")
    return document


def _loaded(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunnerError(f"{path} does not exist; give the folder of a run, such as outputs/latest") from error
    except OSError as error:
        raise RunnerError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunnerError(f"{path} is damaged, and no JSON: {error}") from error


UNRECORDED, DAMAGED = "unrecorded", "damaged"
"""What stands for the status of a folder without run.json, and of one whose run.json cannot be read."""

CONFIGURED = ("data", "loader", "backend", "from_run", "rerun")
"""Words that config.yaml and run.json both use; what was configured goes first."""

# libyaml, where PyYAML was built with it, reads a configuration in a tenth of the time.
Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Run:
    """The run in `folder`; `name` is short, and what a person types. Files are read when they are asked for."""

    folder: Path
    name: str

    @cached_property
    def document(self) -> dict[str, Any]:
        """run.json; nothing but a status where there is none, or none that can be read."""
        if not (self.folder / RUN_JSON).exists():
            return {"status": UNRECORDED}
        try:
            return read_run(self.folder)
        except (RunnerError, LookupError, TypeError, ValueError, AttributeError):
            return {"status": DAMAGED}

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml; empty where there is none, or none that can be read."""
        try:
            config = yaml.load((self.folder / CONFIG_YAML).read_text(encoding="utf-8"), Loader)
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        return config if isinstance(config, dict) else {}

    @cached_property
    def metrics(self) -> list[dict[str, int | float | None]]:
        """The rows of metrics.csv; none where it cannot be read."""
        try:
            return read_metrics(self.folder)
        except RunnerError:
            return []

    @property
    def status(self) -> str:
        """completed, failed, interrupted, running, killed; `unrecorded` or `damaged` where run.json does not say."""
        return str(self.document["status"])

    def value(self, key: str) -> Any:
        """What stands under a dotted key: of config.yaml, of run.json or its results, or a column of metrics.csv.

        A group of the configuration is its kind, an optimizer its name; a column is its best epoch's value, or the
        last epoch's where no value is better than another. None where there is nothing.
        """
        if key == "run":
            return self.name
        first = key.partition(".")[0]
        told_here = first in self.document and first not in CONFIGURED
        documents = (self.document,) if told_here else (self.config, self.document, self.document.get("results", {}))
        found = next((value for document in documents if (value := value_at(document, key)) is not None), None)
        return self._metric(key) if found is None else _name_of(found)

    def number(self, key: str) -> float | None:
        """The number under a dotted key; None where there is none."""
        value = self.value(key)
        return value if is_number(value) else None

    def _metric(self, column: str) -> float | None:
        values = [value for row in self.metrics if (value := row.get(column)) is not None]
        if not values:
            return None
        goal = goal_of(column)
        return values[-1] if goal is None else (max if goal == "max" else min)(values)


def goal_of(metric: str) -> str | None:
    """Whether more of a metric is better, `max`, or less, `min`; None where that is not known."""
    if metric.endswith("accuracy"):
        return "max"
    return "min" if metric.endswith(("loss", "error")) else None


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a document is a number; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name_of(value: Any) -> Any:
    """A component in one word."""
    if isinstance(value, Mapping):
        return value.get("kind", value.get("name", value))
    return value


LATEST = "latest"


def all_runs(root: Path) -> list[Run]:
    """The runs below `root`, oldest first: those of `runs/`, and the jobs of `sweeps/`, named SWEEP/NUMBER."""
    runs = [Run(folder, folder.name) for folder in _folders(root / "runs")]
    for sweep in _folders(root / "sweeps"):
        jobs = sorted(_folders(sweep), key=_job_number)
        runs += [Run(job, f"{sweep.name}/{job.name}") for job in jobs if job.name.isdecimal()]
    # Folders are named by their time, so the names stand in its order; a sweep's jobs in that of their numbers.
    return sorted(runs, key=lambda run: run.name.partition("/")[0])


def find_run(root: Path, name: str) -> Run:
    """The run of that name: a folder, `latest`, or any part of a name that only one run has.

    Raises `ConfigurationError` where no run is meant, or several are.
    """
    folder = root / LATEST if name == LATEST else Path(name)
    if folder.is_dir():
        return _run_in(folder)
    runs = all_runs(root)
    # The whole name of one run may be part of another's: SWEEP/1 and SWEEP/10.
    exact = [run for run in runs if run.name == name or run.name.endswith(f"_{name}")]
    found = exact or [run for run in runs if name in run.name]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(run.name for run in found[:3])
        raise ConfigurationError(f"run must be one run, got {name}, part of the name of {some}, …; type more of it")
    raise ConfigurationError(
        f"run must be a folder, {LATEST} or part of a run's name, got {name}, and no run below {root} is called so; "
        "python -m runner.runs list names them"
    )


def _run_in(folder: Path) -> Run:
    if not any((folder / name).exists() for name in (RUN_JSON, CONFIG_YAML)):
        jobs = f"; give one of its jobs, {folder / '0'}" if (folder / "0").is_dir() else ""
        raise ConfigurationError(f"run must be the folder of a run, got {folder}, which has no {RUN_JSON}{jobs}")
    resolved = folder.resolve()
    job = resolved.name.isdecimal() and resolved.parent.parent.name == "sweeps"
    return Run(folder, f"{resolved.parent.name}/{resolved.name}" if job else resolved.name)


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from (entry for entry in parent.iterdir() if entry.is_dir() and not entry.is_symlink())


def _job_number(folder: Path) -> int:
    return int(folder.name) if folder.name.isdecimal() else -1


def mark_killed(folder: Path) -> None:
    """Write that the run in `folder` was killed, where its run.json says that it is running."""
    path = folder / RUN_JSON
    if not path.exists():
        return
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["status"] == "running":
        write_atomically(path, to_json({**document, "status": "killed"}), overwrite=True)
