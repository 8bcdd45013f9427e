"""The role of a tracker, the base of the settings of each, and what all of them are told of a run.

`tracker=none`: the run's folder is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from runner.component import Component, Package
from runner.records.record import FinalStatus

Row = Mapping[str, float | None]


@dataclass(frozen=True)
class RunStart:
    """A run that begins, or goes on: its folder, its configuration by dotted key, and tags.

    `kept` is what the tracker returned when the run began; nothing where it begins now.
    """

    folder: Path
    parameters: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunEnd:
    """How a run ended: the figures it came to, by dotted key, and the files a person would look at."""

    status: FinalStatus
    results: Mapping[str, float]
    files: Sequence[Path]


class Tracker(Protocol):
    """What is told of one run, in the order of these methods; whatever it raises costs the tracker, never the run."""

    def begin(self, run: RunStart) -> Mapping[str, Any]:
        """A run begins; what to keep in run.json, for a later resume."""

    def epoch(self, epoch: int, row: Row) -> None:
        """An epoch, counted from 1, is done: its row of metrics.csv; after a resume, it may be one that was told."""

    def end(self, run: RunEnd) -> None:
        """The run has ended, its files are written."""


class TrackerSettings(Component):
    """The base of every tracker's settings."""

    kind: str

    def build(self) -> Tracker | None:
        """The tracker; None where nothing is to be told. Its package is installed."""
        raise NotImplementedError

    def _package(self, name: str) -> Package:
        """The package of a tracker that an extra of the tracker's name installs."""
        return Package(f"tracker={self.kind}", name, extra=self.kind, otherwise="choose tracker=none")


class NoTracker(TrackerSettings):
    """Nothing but the run's own folder."""

    kind: Literal["none"] = "none"

    def build(self) -> None:
        """No tracker."""
