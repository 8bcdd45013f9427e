"""The interface of a tracker, the base of its settings, and `tracker=none`, which uses the run's folder only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from runner.component import Component, Package

if TYPE_CHECKING:
    from runner.records.record import FinalStatus

MetricsRow = Mapping[str, float | None]


@dataclass(frozen=True)
class RunStart:
    """A run that starts or resumes: its folder, its name and note, its configuration by dotted key, and tags.

    `words` are the run's own `tags`. `kept` is what the tracker returned when the run first started; empty if it starts
    now.
    """

    folder: Path
    parameters: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    words: tuple[str, ...] = ()
    note: str | None = None

    @property
    def title(self) -> str:
        """The name, else that of the folder."""
        return self.name or self.folder.name


@dataclass(frozen=True)
class RunEnd:
    """A run that has ended: its status, its numeric results by dotted key, and files to upload."""

    status: FinalStatus
    results: Mapping[str, float]
    files: Sequence[Path]


class Tracker(Protocol):
    """Reports one run, through these methods in this order; an exception stops the tracker, never the run."""

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """Start or resume a run; returns values for run.json, which a later resume passes back."""

    def epoch(self, epoch: int, row: MetricsRow) -> None:
        """Report the row of metrics.csv of an epoch, counted from 1; after a resume an epoch may come again."""

    def end(self, run: RunEnd) -> None:
        """Report the end of the run, whose files are written."""


class TrackerSettings(Component):
    """The base of the settings of all trackers."""

    kind: str

    def build(self) -> Tracker | None:
        """The tracker, whose package is installed; None for `tracker=none`."""
        raise NotImplementedError

    def _package(self, name: str) -> Package:
        """A package that the extra with the tracker's name installs."""
        return Package(f"tracker={self.kind}", name, extra=self.kind, otherwise="choose tracker=none")


class NoTracker(TrackerSettings):
    """No tracker: the run's folder only."""

    kind: Literal["none"] = "none"

    def build(self) -> None:
        """Return None: there is no tracker."""
