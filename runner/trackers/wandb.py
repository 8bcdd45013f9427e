"""`tracker=wandb`: Weights & Biases, as files in the run's folder, or on its server during the run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from runner.component import Package
from runner.trackers.base import MetricsRow, RunEnd, RunStart, TrackerSettings

FOLDER = "wandb"
ENVIRONMENT = {"WANDB_ERROR_REPORTING": "false"}
"""Stop wandb from sending its own errors over the network, which it does offline too. A variable that is set stays."""

ANSWER_SECONDS = 10.0
"""The longest wait for a server; wandb's default is 90 seconds."""

EXIT_CODES = {"completed": 0, "failed": 1, "interrupted": 130}
"""The exit code that wandb gets for a final status."""


class WandB(TrackerSettings):
    """A run of Weights & Biases for each run."""

    kind: Literal["wandb"] = "wandb"

    mode: Literal["offline", "online"] = "offline"
    """`offline`: send nothing, `wandb sync` can do so later; `online`: send everything to the server."""

    project: str = "keras-runner"
    """The project of the run."""

    entity: str | None = None
    """The user or team that owns the project; null: your default in wandb."""

    group: str | None = None
    """The group of the run; null: the name of the sweep for its jobs, no group for other runs."""

    def packages(self) -> Iterator[Package]:
        """The package wandb."""
        yield self._package("wandb")

    def build(self) -> WandBRun:
        """A run of the client, which `begin` starts."""
        return WandBRun(self)


class WandBRun:
    """Logs parameters, metrics per epoch, results and files to one run of Weights & Biases.

    The process that the client starts ends with the run, or with an error here.
    """

    def __init__(self, settings: WandB) -> None:
        self._settings = settings

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """Start a run, or continue the one of a resumed run by its id, and log all epochs that it lacks.

        A killed client loses what it had not written. Offline, a resumed run is therefore written again from the
        start, and the folder of the first attempt is renamed; online, the server knows which epochs it has.
        """
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import wandb

        self._is_only_user = wandb.run is None  # otherwise the caller uses wandb in this process too
        online = self._settings.mode == "online"
        if not online:
            from runner.records.folder import put_aside

            put_aside(run.folder / FOLDER)
        settings = wandb.Settings(
            console="off", silent=True, symlink=False, reinit="create_new", init_timeout=ANSWER_SECONDS
        )
        with self._ended_if_it_fails():
            if self._is_only_user:
                wandb.setup(settings)  # silences messages outside of a run too
            self._run = wandb.init(
                **self._settings.model_dump(include={"mode", "project", "entity"}),
                group=self._settings.group or (run.folder.parent.name if run.folder.name.isdecimal() else None),
                name=run.title,
                tags=run.words or None,
                notes=run.note,
                id=run.kept.get("id"),
                resume="allow" if run.kept and online else None,
                dir=run.folder,
                config={**run.parameters, **run.tags},
                settings=settings,
            )
        self._last = self._run.starting_step - 1
        from runner.records.metrics import EPOCH, read_metrics

        for row in read_metrics(run.folder):
            self.epoch(int(row[EPOCH] or 0), {name: value for name, value in row.items() if name != EPOCH})
        return {"id": self._run.id, "at": self._run.url if online else str(run.folder / FOLDER)}

    def epoch(self, epoch: int, row: MetricsRow) -> None:
        """Log the values of an epoch, unless it was logged before a resume."""
        if epoch > self._last:
            self._last = epoch
            with self._ended_if_it_fails():
                self._run.log({key: value for key, value in row.items() if value is not None}, step=epoch)

    def end(self, run: RunEnd) -> None:
        """Add the results and the files, and end the run."""
        with self._ended_if_it_fails():
            self._run.summary.update({**run.results, "status": run.status})
            for file in run.files:  # below the run's name: wandb has its own config.yaml
                self._run.save(file, base_path=file.parent.parent, policy="now")
            self._run.finish(exit_code=EXIT_CODES[run.status])
        self._teardown()

    @contextmanager
    def _ended_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._teardown()
            raise

    def _teardown(self) -> None:
        """End the client's process, unless others use it too."""
        import wandb

        if self._is_only_user:
            try:
                wandb.teardown()
            except SystemExit as ended:  # it would end this process with its own exit code
                raise RuntimeError(f"wandb's service ended with exit code {ended.code}") from ended
