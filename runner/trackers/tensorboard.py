"""`tracker=tensorboard`: event files that TensorBoard shows, written without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.component import Folder, Package
from runner.trackers.base import MetricsRow, RunEnd, RunStart, TrackerSettings

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

FOLDER = "tensorboard"


class TensorBoard(TrackerSettings):
    """Event files, a folder per run."""

    kind: Literal["tensorboard"] = "tensorboard"

    log_dir: Folder | None = None
    """The folder of event files, with a subfolder per run; null: `tensorboard` in the run's folder."""

    def packages(self) -> Iterator[Package]:
        """The package tensorboardX, which writes event files without TensorFlow."""
        yield self._package("tensorboardX")

    def build(self) -> EventFiles:
        """The event files, opened at the first write."""
        return EventFiles(self.log_dir)


class EventFiles:
    """Writes the parameters as text, a scalar per column and epoch, and the results at the last epoch."""

    def __init__(self, log_dir: Path | None) -> None:
        self._log_dir = log_dir
        self._writer: SummaryWriter | None = None
        self._last = 0

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """Write the parameters; a resumed run has them already, and adds a new file next to the first."""
        self._folder = Path(run.kept.get("log_dir") or self._place(run.folder))
        if not run.kept:
            rows = "\n".join(f"| `{key}` | {value} |" for key, value in {**run.parameters, **run.tags}.items())
            self._open().add_text("parameters", f"| key | value |\n|---|---|\n{rows}", 0)
            self._open().flush()
        return {"log_dir": str(self._folder)}

    def epoch(self, epoch: int, row: MetricsRow) -> None:
        """Add the values of an epoch; the first epoch after a resume replaces this and later ones in older files."""
        self._last = epoch
        self._add(row, self._open(purge_step=epoch))

    def end(self, run: RunEnd) -> None:
        """Add the results and the final status, and close the file."""
        writer = self._open()
        self._add(run.results, writer)
        writer.add_text("status", run.status, self._last)
        writer.close()

    def _place(self, run: Path) -> Path:
        """The folder of the run's event files; jobs of a sweep, named 0, 1, …, are below the name of the sweep."""
        if self._log_dir is None:
            return run / FOLDER
        return self._log_dir.joinpath(*run.parts[-2:] if run.name.isdecimal() else run.parts[-1:])

    def _open(self, purge_step: int | None = None) -> SummaryWriter:
        """The writer; a new one makes readers discard older values from `purge_step` on."""
        from tensorboardX import SummaryWriter

        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder), purge_step=purge_step)
        return self._writer

    def _add(self, values: MetricsRow, writer: SummaryWriter) -> None:
        for name, value in values.items():
            if value is not None:
                writer.add_scalar(name, value, self._last)
        writer.flush()
