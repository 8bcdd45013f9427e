"""One run as its files tell it, whatever became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from runner.errors import RunnerError
from runner.records.config_yaml import NAME as CONFIG_YAML
from runner.records.dotted import value_at
from runner.records.metrics import read_metrics
from runner.records.reading import read_run
from runner.records.record import RUN_JSON

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
