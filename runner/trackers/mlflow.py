"""`tracker=mlflow`: runs in an MLflow store, a local SQLite file or a server."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.component import Package
from runner.trackers.base import MetricsRow, RunEnd, RunStart, TrackerSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
NOTE = "mlflow.note.content"
"""The tag that MLflow shows as the description of a run."""
STATUS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
MOST_PARAMETERS, MOST_CHARACTERS = 100, 6000
"""The most parameters that MLflow takes in one call, and characters in one parameter."""
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Limit the wait for a server that does not answer, minutes by default, and send no usage reports.

Variables that are set stay as they are.
"""


class MLflow(TrackerSettings):
    """An MLflow run for each run."""

    kind: Literal["mlflow"] = "mlflow"

    uri: str = "sqlite:///outputs/mlflow.db"
    """The store: an SQLite file (`sqlite:///path.db`), or a server (`http://host:5000`)."""

    experiment: str = "keras-runner"
    """The experiment of the run; created if it does not exist."""

    def packages(self) -> Iterator[Package]:
        """The package mlflow."""
        yield self._package("mlflow")

    def build(self) -> MLflowRun:
        """A run in the store, which `begin` starts."""
        return MLflowRun(self.uri, self.experiment)


class MLflowRun:
    """Logs parameters, metrics per epoch, results, tags and files to one MLflow run."""

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri, self._experiment = uri, experiment
        self._last = 0

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """Create a run in the store, or continue the one of a resumed run."""
        self._client = _client(self._uri)
        if run.kept.get("uri") == self._uri:
            self._run_id = str(run.kept["run_id"])
            self._client.update_run(self._run_id, status="RUNNING")
            self._last = self._last_epoch()
            return run.kept
        note = {NOTE: run.note} if run.note else {}
        tags = {**run.tags, **dict.fromkeys(run.words, ""), **note}
        created = self._client.create_run(self._experiment_id(), run_name=run.title, tags=tags)
        self._run_id = created.info.run_id
        self._parameters(run.parameters)
        return {"uri": self._uri, "run_id": self._run_id}

    def epoch(self, epoch: int, row: MetricsRow) -> None:
        """Log the values of an epoch, unless the store has it from before a resume."""
        if epoch > self._last:
            self._metrics(row, epoch)

    def end(self, run: RunEnd) -> None:
        """Log the results and the files, and end the run."""
        self._metrics(run.results, 0)
        for file in run.files:
            self._client.log_artifact(self._run_id, str(file))
        self._client.set_terminated(self._run_id, STATUS[run.status])

    def _last_epoch(self) -> int:
        """The last epoch in the store: all values of an epoch are logged together, and each epoch has a loss."""
        return max((metric.step for metric in self._client.get_metric_history(self._run_id, "loss")), default=0)

    def _experiment_id(self) -> str:
        """The experiment's id; with an SQLite file, the files of runs are stored next to it."""
        from mlflow.exceptions import MlflowException

        database = _database(self._uri)
        location = database and database.with_name(f"{database.stem}-artifacts").absolute().as_uri()
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            try:
                return str(self._client.create_experiment(self._experiment, artifact_location=location))
            except MlflowException:  # another run has just created it
                found = self._client.get_experiment_by_name(self._experiment)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _parameters(self, parameters: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(_key(key), str(value)[:MOST_CHARACTERS]) for key, value in parameters.items()]
        for first in range(0, len(params), MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=params[first : first + MOST_PARAMETERS])

    def _metrics(self, values: MetricsRow, step: int) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = [Metric(_key(key), value, now, step) for key, value in values.items() if value is not None]
        self._client.log_batch(self._run_id, metrics=metrics)


def _client(uri: str) -> MlflowClient:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if (database := _database(uri)) is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def _key(name: str) -> str:
    """A name with `_` for the characters that MLflow does not allow."""
    return re.sub(r"[^/\w.\- :]", "_", name)
