"""The folder of a run as all readers see it, whatever the status of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import read_config
from runner.records.dotted import value_at
from runner.records.files import to_json, write_atomically
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.heartbeat import is_alive
from runner.records.metrics import read_metrics
from runner.records.record import RUN_JSON
from runner.records.run_document import read_document
from runner.records.secret_keys import secret_values

if TYPE_CHECKING:
    from runner.data.labels import Head

Goal = Literal["min", "max"]
"""Whether the smallest or the largest value of a metric is the best."""

Completion = Callable[[dict[str, Any]], dict[str, Any]]
"""What `Settings.completed` does: a configuration with keys that its version did not know at their defaults."""

LATEST = "latest"
UNRECORDED, DAMAGED = "unrecorded", "damaged"
"""The status of a folder without run.json, and of one whose run.json cannot be read."""

CONFIGURED = ("data", "loader", "model", "backend", "from_run", "rerun")
"""Words that config.yaml and run.json both use; `RunFolder.value` takes the value that was configured."""

MODELS = (f"{CHECKPOINTS}/best.keras", MODEL)
"""The model files of a run, in the order of preference."""


class RunFolder:
    """A run's folder; each file is read at its first use, and a missing or damaged one reads as empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def name(self) -> str:
        """The name a user types: that of the folder, or SWEEP/NUMBER for a job of a sweep."""
        path = self.path.resolve() if self.path.is_symlink() else self.path.absolute()
        is_job = path.name.isdecimal() and path.parent.parent.name == "sweeps"
        return f"{path.parent.name}/{path.name}" if is_job else path.name

    @cached_property
    def document(self) -> dict[str, Any]:
        """run.json; nothing but a status where it is missing or damaged."""
        if not (self.path / RUN_JSON).exists():
            return {"status": UNRECORDED}
        try:
            return read_run(self.path)
        except RunnerError:
            return {"status": DAMAGED}

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml; empty where it is missing or damaged."""
        try:
            return read_config(self.path, "run")
        except ConfigurationError:
            return {}

    @cached_property
    def secrets(self) -> list[str]:
        """The secrets of `config`, which `masked` takes out of what is shown."""
        return list(secret_values(self.config))

    @property
    def whole(self) -> RunFolder:
        """The run with all that its files hold."""
        return self

    def completed(self, complete: Completion) -> RunFolder:
        """The run with a completed `config`: keys that its version did not know do not count as changed."""
        run = RunFolder(self.path)
        run.config = complete(self.config)
        return run

    @property
    def final_config(self) -> dict[str, Any]:
        """`config` with the epochs and the phases that the last `resume` requested."""
        requested = [resume for resume in self.document.get("resumed", []) if "epochs" in resume]
        train = self.config.get("train")
        if not requested or not isinstance(train, Mapping):
            return self.config
        changed = {key: requested[-1][key] for key in ("epochs", "phases") if key in requested[-1]}
        return {**self.config, "train": {**train, **changed}}

    @cached_property
    def metrics(self) -> list[dict[str, int | float | None]]:
        """The rows of metrics.csv; none where it is missing or damaged."""
        try:
            return read_metrics(self.path)
        except RunnerError:
            return []

    @property
    def status(self) -> str:
        """completed, failed, interrupted, running or killed; `unrecorded` or `damaged` without a readable run.json."""
        return str(self.document["status"])

    @property
    def title(self) -> str:
        """The run's `name`, else the name of its folder."""
        return str(self.config.get("name") or self.path.resolve().name)

    def choice(self, group: str) -> str | None:
        """The file that was chosen for a group on the command line, such as `mine` by `data=mine`; None if none was."""
        start, overrides = f"{group}=", self.document.get("overrides") or []
        return next((text.removeprefix(start) for text in reversed(overrides) if text.startswith(start)), None)

    @property
    def is_debug(self) -> bool:
        """Whether the run only tried things out, with `debug`."""
        return bool(self.config.get("debug") or self.document.get("debug"))

    @property
    def repeats(self) -> Path | None:
        """The folder of the run that this one repeats (`rerun`); None if it repeats none."""
        folder = self.config.get("rerun")
        return Path(folder) if isinstance(folder, str) else None

    @property
    def model(self) -> str:
        """The model file to use, relative to the folder; the file may be missing.

        Only the final model has the averages of `train.optimizer.use_ema`.
        """
        averaged = value_at(self.config, "train.optimizer.use_ema") is True
        names = reversed(MODELS) if averaged else MODELS
        return next((name for name in names if (self.path / name).is_file()), MODEL)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads of the run's predictions: those of its data, or of the model it used where the data has none."""
        from runner.data.labels import read_heads  # imports NumPy, which listing runs does without

        documents = (self.document.get(section) or {} for section in ("data", "from_run"))
        return read_heads(next((heads for document in documents if (heads := document.get("heads"))), ()))

    @property
    def enlarges_masks(self) -> bool:
        """Whether the files of its predicted masks have the size of their images."""
        return bool((self.document.get("results", {}).get("predict") or {}).get("original_size"))

    def value(self, key: str, goal: Goal | None = None) -> Any:
        """The value of a dotted key of config.yaml, of run.json or its results, or of a column of metrics.csv.

        A component of the configuration is given by its kind, an optimizer by its name; a column by its best epoch's
        value, by `goal`, else by what is known of the metric, or the last epoch's where nothing is known. NaN is never
        the best. None if the run has no such key.
        """
        if key == "run":
            return self.name
        section = key.partition(".")[0]
        is_recorded = section in self.document and section not in CONFIGURED
        documents = (self.document,) if is_recorded else (self.config, self.document, self.document.get("results", {}))
        found = next((value for document in documents if (value := value_at(document, key)) is not None), None)
        return self._metric(key, goal) if found is None else _component_name(found)

    def number(self, key: str, goal: Goal | None = None) -> float | None:
        """The value of a dotted key; None if it is not a number."""
        value = self.value(key, goal)
        return value if is_number(value) else None

    def goal_of(self, column: str) -> Goal | None:
        """Which way a metric is better: as the run recorded it, else by its name; None if neither says."""
        recorded = self.document.get("goals") or {}
        goal: Goal | None = recorded.get(column.removeprefix("val_")) or goal_of_metric(column)
        return goal

    def _metric(self, column: str, goal: Goal | None) -> float | None:
        values = [value for row in self.metrics if (value := row.get(column)) is not None]
        goal, numbers = goal or self.goal_of(column), [value for value in values if not isnan(value)]
        if goal is None or not numbers:
            return values[-1] if values else None
        return max(numbers) if goal == "max" else min(numbers)


def _component_name(value: Any) -> Any:
    """The kind or name of a component; any other value as it is."""
    if isinstance(value, Mapping):
        return value.get("kind", value.get("name", value))
    return value


def goal_of_metric(metric: str) -> Goal | None:
    """`max` or `min`: which way a metric is better; None if that is not known."""
    if metric.endswith(("accuracy", "iou", "dice")):
        return "max"
    return "min" if metric.endswith(("loss", "error")) else None


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of the run in `folder`; changes no file.

    `status` is ``killed`` where the file says ``running`` and the process that wrote it is gone from this host, or
    gave no heartbeat from another one for two minutes. Raises `RunnerError`, naming the file, if it is missing or is
    not a run's record.
    """
    path = folder / RUN_JSON
    document = read_document(path)
    if document["status"] == "running" and not is_alive(document.get("process") or {}, path):
        # Read again, now that nobody writes: the run may have ended since the first reading.
        document = read_document(path)
        if document["status"] == "running":
            document["status"] = "killed"
    return document


def mark_killed(folder: Path, error: Mapping[str, str] | None = None) -> bool:
    """Write `killed` into a run.json that says `running`: other hosts cannot see that the process is gone.

    With the type and the message of an `error` that is known to be the cause, `failed`. Returns whether it did.
    """
    path = folder / RUN_JSON
    if not path.exists():
        return False
    document = read_document(path)
    if document["status"] != "running":
        return False
    end = {"status": "failed", "error": error} if error else {"status": "killed"}
    write_atomically(path, to_json({**document, **end}), overwrite=True)
    return True
