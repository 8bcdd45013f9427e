"""How a run stops early: its record is closed, and it says how far it is and which command continues it."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from runner.distribute.rank_files import RANKS
from runner.errors import BadSampleError, ConfigurationError, LostRankError, TrainingError, UserReadError, WorkerError
from runner.exit import complain
from runner.messages import plural
from runner.modes.terminal import Line, Terminal
from runner.records.folder import CHECKPOINTS
from runner.records.metrics import read_metrics
from runner.records.record import RUN_JSON, FinalStatus, RunRecord
from runner.records.run_folder import RunFolder
from runner.records.run_names import repair_latest
from runner.records.state import newest_step
from runner.reports.index_page import INDEX_HTML, refresh_index
from runner.settings import TRAINING, Settings

log = logging.getLogger("runner.run")

NO_ADVICE = (TrainingError, ConfigurationError, LostRankError)
"""Errors after which the run cannot just be resumed, or which are explained by whoever started the process."""


@contextmanager
def closing_record(config: Settings, record: RunRecord, terminal: Terminal) -> Iterator[None]:
    """Close the record when the block ends, also by an error. A run that stops says how far it is."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        log.warning("interrupted")
        _close_stopped(config, record, terminal, "interrupted", interrupt)
        raise
    except BaseException as error:
        log.error("the run failed", exc_info=error)
        _close_stopped(config, record, terminal, "failed", error)
        raise
    record.close("completed")


def _close_stopped(
    config: Settings, record: RunRecord, terminal: Terminal, status: FinalStatus, error: BaseException
) -> None:
    """Close the record, and say how far the run is, even if the disk is full."""
    try:
        record.close(status, error)
    finally:
        terminal.summary(stop_lines(config, record, error))


@contextmanager
def removed_if_refused(folder: Path, *, is_new: bool = True) -> Iterator[None]:
    """Remove the new folder of a run after the block if there is no record in it, or its configuration was refused.

    A group whose ranks were killed leaves their logs. Jobs of sweeps and folders that a program chose stay.
    """
    root = folder.parent.parent
    try:
        yield
    finally:
        if is_new and (was_refused(folder) or not any((folder / name).exists() for name in (RUN_JSON, RANKS))):
            shutil.rmtree(folder, ignore_errors=True)
            repair_latest(root)
            if (root / INDEX_HTML).exists():
                refresh_index(folder)


def was_refused(folder: Path) -> bool:
    """Whether a new run has ended before its first step, as its configuration does not fit the data or the model."""
    document = RunFolder(folder).document
    error, begun = document.get("error") or {}, document.get("resumed") or read_metrics(folder)
    is_refused = error.get("type") == ConfigurationError.__name__ and folder.parent.name == "runs"
    return is_refused and not begun and newest_step(folder / CHECKPOINTS) is None


def end_process(config: Settings, record: RunRecord, terminal: Terminal, error: WorkerError) -> NoReturn:
    """Close the record and end the process: its main thread is in a read that nothing can interrupt."""
    _close_stopped(config, record, terminal, "failed", error)
    complain(str(error))
    os._exit(error.exit_code)


def stop_lines(config: Settings, record: RunRecord, error: BaseException) -> Iterator[Line]:
    """What is done so far, and how to continue; a job of a sweep is resumed with its sweep.

    Nothing for a run that cannot be resumed, or that failed before there was anything to keep.
    """
    if config.mode not in TRAINING or record.is_held or record.document["debug"]:
        return
    epochs, step = len(read_metrics(record.path)), newest_step(record.path / CHECKPOINTS)
    interrupted = isinstance(error, KeyboardInterrupt)
    if not (interrupted or epochs or step):
        return
    state = "no state is saved yet" if step is None else f"the state after {plural(step, 'step')} is saved"
    yield "done", f"{epochs:,} of {plural(config.train.epochs, 'epoch')}; {state}"
    if record.path.parent.name == "runs" and not isinstance(error, NO_ADVICE):
        yield "next", _command(config, record, error)
        yield "", _what_it_does(error, step)


def _command(config: Settings, record: RunRecord, error: BaseException) -> str:
    words = [f"resume={record.path}"]
    if config.extensions:
        words.append(f"extensions=[{','.join(config.extensions)}]")
    if _is_bad_sample(error):
        words.append(f"data.on_bad={'substitute' if config.distribute.world > 1 else 'skip'}")
    if any(True for _ in config.loader.names()) or record.document.get("callbacks", {}).get("without_state"):
        words.append("resume_inexact=true")
    return f"python -m runner {shlex.join(words)}"


def _what_it_does(error: BaseException, step: int | None) -> str:
    where = "starts again" if step is None else "continues from here"
    if _is_bad_sample(error):
        return f"{where} without bad samples; mode=check lists all of them"
    return where


def _is_bad_sample(error: BaseException) -> bool:
    """Whether `data.on_bad` would pass over the sample that ended the run."""
    return isinstance(error, BadSampleError) and not isinstance(error, UserReadError)
