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

from runner.data.dataframe import DataFrame
from runner.distribute.exchange import Exchange
from runner.distribute.rank_files import RANKS, note_error
from runner.errors import (
    NO_SUCH_FILE,
    BadSampleError,
    ConfigurationError,
    LostRankError,
    TrainingError,
    WorkerError,
    kind_of_error,
)
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
from runner.reports.next_step import BAD_SAMPLE, again_words, resume_words
from runner.settings import PREDICTING, TRAINING, Settings

log = logging.getLogger("runner.run")

NO_ADVICE = tuple(kind.__name__ for kind in (TrainingError, ConfigurationError, LostRankError))
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


def end_process(
    config: Settings, record: RunRecord, terminal: Terminal, exchange: Exchange, error: WorkerError
) -> NoReturn:
    """Close the record and end the process: its main thread is in a read that nothing can interrupt."""
    if exchange.rank.world > 1:
        note_error(exchange.run, exchange.rank.number, error)
    _close_stopped(config, record, terminal, "failed", error)
    complain(str(error))
    os._exit(error.exit_code)


def stop_lines(config: Settings, record: RunRecord, error: BaseException) -> Iterator[Line]:
    """What is done so far, and how to continue; a job of a sweep is resumed with its sweep.

    Nothing for a run that cannot be resumed, or that failed before there was anything to keep, unless a bad sample
    ended it.
    """
    if isinstance(config.data, DataFrame) and isinstance(error, BadSampleError) and error.reason == NO_SUCH_FILE:
        table, folder = config.data.manifest, config.data.folder
        yield "note", f"paths in {table} are relative to data.root, here {folder}; set data.root if they are elsewhere"
    if config.mode not in (*PREDICTING, "evaluate", "bench") or record.is_held or record.document["debug"]:
        return
    epochs, step = len(read_metrics(record.path)), newest_step(record.path / CHECKPOINTS)
    interrupted = isinstance(error, KeyboardInterrupt) and config.mode in TRAINING
    if not (interrupted or epochs or step):
        raises = getattr(config.data, "on_bad", "raise") == "raise" and record.path.parent.name == "runs"
        if raises and kind_of_error(error) == BAD_SAMPLE and record.document["argv"]:
            words = again_words(record.document, config.document())
            yield "next", f"python -m runner {shlex.join(words)}"
            yield "", _what_it_does(error, step)
        return
    state = "no state is saved yet" if step is None else f"the state after {plural(step, 'step')} is saved"
    yield "done", f"{epochs:,} of {plural(config.train.epochs, 'epoch')}; {state}"
    if record.path.parent.name == "runs" and kind_of_error(error) not in NO_ADVICE:
        yield "next", _command(config, record, error)
        yield "", _what_it_does(error, step)


def _command(config: Settings, record: RunRecord, error: BaseException) -> str:
    document = {**record.document, "error": {"type": kind_of_error(error)}}
    return f"python -m runner {shlex.join(resume_words(str(record.path), document, config.document()))}"


def _what_it_does(error: BaseException, step: int | None) -> str:
    where = "starts again" if step is None else "continues from here"
    if kind_of_error(error) == BAD_SAMPLE:
        return f"{where} without bad samples; mode=check lists all of them"
    return where
