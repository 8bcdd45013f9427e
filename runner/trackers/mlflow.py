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
from runner.trackers.base import Row, RunEnd, RunStart, TrackerSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
STATUS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
MOST_PARAMETERS, MOST_CHARACTERS = 100, 6000
"""What MLflow takes in one call, and of one parameter."""
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Without these MLflow waits for minutes for a server that does not answer, and reports its use; yours come first."""


class MLflow(TrackerSettings):
    """An MLflow run for each run."""

    kind: Literal["mlflow"] = "mlflow"

    uri: str = "sqlite:///outputs/mlflow.db"
    """The store: an SQLite file (`sqlite:///path.db`), or a server (`http://host:5000`)."""

    experiment: str = "keras-runner"
    """The experiment the run belongs to; made where it is new."""

    def packages(self) -> Iterator[Package]:
        """MLflow itself."""
        yield self._package("mlflow")

    def build(self) -> MLflowRun:
        """A run in the store, begun later."""
        return MLflowRun(self.uri, self.experiment)


class MLflowRun:
    """Parameters, metrics per epoch, results, tags, and the files a person looks at."""

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri, self._experiment = uri, experiment
        self._last = 0

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """Make a run in the store; where the run goes on, so does that one."""
        self._client = _client(self._uri)
        if run.kept.get("uri") == self._uri:
            self._run_id = str(run.kept["run_id"])
            self._client.update_run(self._run_id, status="RUNNING")
            self._last = self._last_epoch()
            return run.kept
        made = self._client.create_run(self._experiment_id(), run_name=run.folder.name, tags=dict(run.tags))
        self._run_id = made.info.run_id
        self._parameters(run.parameters)
        return {"uri": self._uri, "run_id": self._run_id}

    def epoch(self, epoch: int, row: Row) -> None:
        """Log the values there are, by epoch; one the store has already is the same again, and is not logged twice."""
        if epoch > self._last:
            self._metrics(row, epoch)

    def end(self, run: RunEnd) -> None:
        """Log the results and the files, and end the run."""
        self._metrics(run.results, 0)
        for file in run.files:
            self._client.log_artifact(self._run_id, str(file))
        self._client.set_terminated(self._run_id, STATUS[run.status])

    def _last_epoch(self) -> int:
        """The last epoch that is in the store: all values of one are logged at once, and each has a loss."""
        return max((metric.step for metric in self._client.get_metric_history(self._run_id, "loss")), default=0)

    def _experiment_id(self) -> str:
        """The experiment's id; beside an SQLite file lie the files of its runs, and not where the runner is started."""
        from mlflow.exceptions import MlflowException

        place = _database(self._uri)
        location = place and place.with_name(f"{place.stem}-artifacts").absolute().as_uri()
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            try:
                return str(self._client.create_experiment(self._experiment, artifact_location=location))
            except MlflowException:  # another run has just made it
                found = self._client.get_experiment_by_name(self._experiment)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _parameters(self, parameters: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(_key(key), str(value)[:MOST_CHARACTERS]) for key, value in parameters.items()]
        for first in range(0, len(params), MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=params[first : first + MOST_PARAMETERS])

    def _metrics(self, values: Row, step: int) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        metrics = [Metric(_key(key), value, now, step) for key, value in values.items() if value is not None]
        self._client.log_batch(self._run_id, metrics=metrics)


def _client(uri: str) -> MlflowClient:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if (place := _database(uri)) is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def _key(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^/\w.\- :]", "_", name)
