"""A run that several processes do together, started by this one, which only watches them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from runner.distribute.group import supervise
from runner.errors import ConfigurationError, DataError, RunnerError, Terminated, VerifyError
from runner.exit import INTERRUPTED
from runner.records.record import RUN_JSON, RunRecord
from runner.settings import TRAINING, Mode, Settings

TOGETHER: tuple[Mode, ...] = (*TRAINING, "evaluate", "predict")
"""Modes that several processes can do together."""


@dataclass(frozen=True)
class Origin:
    """Where a run comes from: the command line, its overrides, and the user's own configuration files."""

    argv: Sequence[str] = ()
    overrides: Sequence[str] = ()
    foreign_files: tuple[Path, ...] = ()


def is_together(config: Settings) -> bool:
    """Whether several processes do the run."""
    return config.distribute.processes > 1 and config.mode in TOGETHER


def run_together(config: Settings, folder: Path, origin: Origin) -> int:
    """Start the ranks of a run, and watch them; the exit code. Their messages are in the terminal.

    After the death of one, the group resumes the run; a run that does not train has nothing to resume.
    """
    settings = {**config.document(), "resume_takeover": config.resume_takeover}
    where = {"folder": str(folder), "foreign_files": [str(file) for file in origin.foreign_files]}
    order = {**where, "argv": [*origin.argv], "overrides": [*origin.overrides]}

    def order_of(attempt: int) -> bytes:
        again = {"resume": str(folder), "rerun": None} if attempt and (folder / RUN_JSON).exists() else {}
        return json.dumps({**order, "settings": {**settings, **again}}).encode()

    restarts = config.distribute.restarts if config.mode in TRAINING else None
    return supervise(config.distribute.processes, restarts, order_of, folder)


def recorded_together(config: Settings, folder: Path, origin: Origin) -> RunRecord:
    """As `run_together`, from Python: returns the closed record, or raises the error that ended the run."""
    if code := run_together(config, folder, origin):
        _raise(code, folder)
    return RunRecord.closed(folder)


def _raise(code: int, folder: Path) -> NoReturn:
    if code in (INTERRUPTED, Terminated.exit_code):
        raise KeyboardInterrupt if code == INTERRUPTED else Terminated
    kinds = {kind.exit_code: kind for kind in (ConfigurationError, DataError, VerifyError)}
    error = RunRecord.closed(folder).document["error"] if (folder / RUN_JSON).exists() else None
    text = error["message"] if error else f"the processes of {folder} ended with exit code {code}; see their messages"
    raise kinds.get(code, RunnerError)(text)
