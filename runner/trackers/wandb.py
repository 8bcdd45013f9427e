"""`tracker=wandb`: Weights & Biases, in files in the run's folder, or on its server as the run goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from runner.component import Package
from runner.records.folder import put_aside
from runner.records.metrics import EPOCH, read_metrics
from runner.trackers.base import Row, RunEnd, RunStart, TrackerSettings

FOLDER = "wandb"
ENVIRONMENT = {"WANDB_ERROR_REPORTING": "false"}
"""Without this wandb reports its own errors over the network, offline as well; yours comes first."""

ANSWER_SECONDS = 10.0
"""How long a server may take to answer; wandb would wait for 90 seconds."""

EXIT_CODES = {"completed": 0, "failed": 1, "interrupted": 130}
"""How a run ended, as wandb takes it."""


class WandB(TrackerSettings):
    """A run of Weights & Biases for each run."""

    kind: Literal["wandb"] = "wandb"

    mode: Literal["offline", "online"] = "offline"
    """Whether nothing is sent, and `wandb sync` can do so later (`offline`), or all goes to the server (`online`)."""

    project: str = "keras-runner"
    """The project the run belongs to."""

    entity: str | None = None
    """The user or team whose project it is; null: your own, as wandb knows it."""

    group: str | None = None
    """What runs are grouped by; null: the jobs of a sweep are, under its name."""

    def packages(self) -> Iterator[Package]:
        """Its client."""
        yield self._package("wandb")

    def build(self) -> WandBRun:
        """A run of the client, begun later."""
        return WandBRun(self)


class WandBRun:
    """Parameters, metrics per epoch, results, and the files a person looks at.

    What the client runs beside this process ends with the run, or with whatever goes wrong here.
    """

    def __init__(self, settings: WandB) -> None:
        self._settings = settings

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """Make a run, and tell it of all epochs it lacks; where the run goes on, so does that one, under its id.

        A client that is killed loses what it had not written yet. Offline the run is therefore written anew, whole, and
        what was written before is put aside; online its server knows which epochs it has.
        """
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import wandb

        self._alone = wandb.run is None  # else the caller uses it in this process, too
        online = self._settings.mode == "online"
        if not online:
            put_aside(run.folder / FOLDER)
        settings = wandb.Settings(
            console="off", silent=True, symlink=False, reinit="create_new", init_timeout=ANSWER_SECONDS
        )
        with self._ended_if_it_fails():
            if self._alone:
                wandb.setup(settings)  # what it says outside of a run is silent, too
            self._run = wandb.init(
                **self._settings.model_dump(include={"mode", "project", "entity"}),
                group=self._settings.group or (run.folder.parent.name if run.folder.name.isdecimal() else None),
                name=run.folder.name,
                id=run.kept.get("id"),
                resume="allow" if run.kept and online else None,
                dir=run.folder,
                config={**run.parameters, **run.tags},
                settings=settings,
            )
        self._told = self._run.starting_step - 1
        for row in read_metrics(run.folder):
            self.epoch(int(row[EPOCH] or 0), {name: value for name, value in row.items() if name != EPOCH})
        return {"id": self._run.id, "at": self._run.url if online else str(run.folder / FOLDER)}

    def epoch(self, epoch: int, row: Row) -> None:
        """Log the values there are, by epoch; one that is done again is the same again, and is not told twice."""
        if epoch > self._told:
            self._told = epoch
            with self._ended_if_it_fails():
                self._run.log({key: value for key, value in row.items() if value is not None}, step=epoch)

    def end(self, run: RunEnd) -> None:
        """Add the results and the files, and end the run."""
        with self._ended_if_it_fails():
            self._run.summary.update({**run.results, "status": run.status})
            for file in run.files:  # below the run's name: wandb has a config.yaml of its own
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
        """End the client's process, unless it serves others, too."""
        import wandb

        if self._alone:
            try:
                wandb.teardown()
            except SystemExit as ended:  # it would end this process with the code of its own
                raise RuntimeError(f"wandb's service ended with exit code {ended.code}") from ended
