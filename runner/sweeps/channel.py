"""How a sweep and one of its jobs on another host speak: by files in the sweep's folder, which both see."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from runner.records.files import to_json, write_atomically
from runner.sweeps.process import Outcome

LAUNCHED = "launched"
"""The folder with a folder per job that was given to a scheduler."""

BEGUN = "begun"
ENDED = "ended.json"
Request = Literal["end", "prune", "kill"]


class Channel:
    """The files of one job: the host it runs on writes that it has begun and how it ended, the sweep what it wants."""

    def __init__(self, sweep: Path, number: int) -> None:
        self.folder = sweep / LAUNCHED / str(number)

    def open(self) -> None:
        """Begin anew, without what an earlier attempt left."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def begin(self) -> None:
        """The job runs from now on."""
        (self.folder / BEGUN).touch()

    @property
    def has_begun(self) -> bool:
        """Whether the job runs, or has run."""
        return (self.folder / BEGUN).exists()

    def ask(self, request: Request) -> None:
        """Want the job to end after its step, with the sweep or because it is given up, or at once."""
        (self.folder / request).touch()

    def asked(self, request: Request) -> bool:
        """Whether that is wanted."""
        return (self.folder / request).exists()

    def refresh(self) -> None:
        """Let a network file system look again: it may remember for a while that a file is not there."""
        self.folder.chmod(self.folder.stat().st_mode)

    def end(self, outcome: Outcome) -> None:
        """Say how the job ended; the first word counts."""
        if self.outcome is None:
            write_atomically(self.folder / ENDED, to_json(asdict(outcome)))

    @property
    def outcome(self) -> Outcome | None:
        """How the job ended; None until that is known."""
        try:
            return Outcome(**json.loads((self.folder / ENDED).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
