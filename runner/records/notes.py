"""What a run notes of the samples it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.records.bad_samples import BadSamples
from runner.records.contents import Contents


@dataclass(frozen=True)
class Notes:
    """What was in the files of samples, and which samples could not be read."""

    contents: Contents
    bad: BadSamples

    def section(self) -> dict[str, Any]:
        """What run.json says of both, in its section on the data."""
        return {"contents": self.contents.section(), "bad_samples": self.bad.counts()}
