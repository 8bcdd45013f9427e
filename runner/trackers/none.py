"""`tracker=none`: the run's folder is all there is."""

from __future__ import annotations

from typing import Literal

from runner.trackers.base import TrackerSettings


class NoTracker(TrackerSettings):
    """Nothing but the run's own folder."""

    kind: Literal["none"] = "none"

    def build(self) -> None:
        """No tracker."""
