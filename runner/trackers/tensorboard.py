"""`tracker=tensorboard`: event files that TensorBoard shows, written without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.component import Folder, Package
from runner.trackers.base import Row, RunEnd, RunStart, TrackerSettings

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

FOLDER = "tensorboard"


class TensorBoard(TrackerSettings):
    """Event files, a folder per run."""

    kind: Literal["tensorboard"] = "tensorboard"

    log_dir: Folder | None = None
    """Where event files go, in a folder named as the run's; null: `tensorboard` in the run's folder."""

    def packages(self) -> Iterator[Package]:
        """What writes event files without TensorFlow."""
        yield self._package("tensorboardX")

    def build(self) -> EventFiles:
        """The event files, opened when there is something to write."""
        return EventFiles(self.log_dir)


class EventFiles:
    """The parameters as text, a scalar per column and epoch, and the results at the last epoch."""

    def __init__(self, log_dir: Path | None) -> None:
        self._log_dir = log_dir
        self._writer: SummaryWriter | None = None
        self._last = 0

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """Write the parameters, but where the run goes on: it does so in a new file beside the one there is."""
        self._folder = Path(run.kept.get("log_dir") or self._place(run.folder))
        if not run.kept:
            rows = "\n".join(f"| `{key}` | {value} |" for key, value in {**run.parameters, **run.tags}.items())
            self._open().add_text("parameters", f"| key | value |\n|---|---|\n{rows}", 0)
            self._open().flush()
        return {"log_dir": str(self._folder)}

    def epoch(self, epoch: int, row: Row) -> None:
        """Add the values there are; if this is the first since a resume, all from this epoch on count no more."""
        self._last = epoch
        self._add(row, self._open(purge_step=epoch))

    def end(self, run: RunEnd) -> None:
        """Add the results and how the run ended, and close the file."""
        writer = self._open()
        self._add(run.results, writer)
        writer.add_text("status", run.status, self._last)
        writer.close()

    def _place(self, run: Path) -> Path:
        """The jobs of a sweep are called 0, 1, …: below `log_dir` they stand in a folder named as the sweep's."""
        if self._log_dir is None:
            return run / FOLDER
        return self._log_dir.joinpath(*run.parts[-2:] if run.name.isdecimal() else run.parts[-1:])

    def _open(self, purge_step: int | None = None) -> SummaryWriter:
        """The writer; where there is none yet, one whose readers forget what was said of `purge_step` and later."""
        from tensorboardX import SummaryWriter

        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder), purge_step=purge_step)
        return self._writer

    def _add(self, values: Row, writer: SummaryWriter) -> None:
        for name, value in values.items():
            if value is not None:
                writer.add_scalar(name, value, self._last)
        writer.flush()
