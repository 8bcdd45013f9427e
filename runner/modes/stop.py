"""What a run that stops early says: how far it is, and the command that continues it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runner.errors import BadSampleError, ConfigurationError, TrainingError, UserReadError
from runner.messages import plural
from runner.modes.terminal import Line
from runner.records.folder import CHECKPOINTS
from runner.records.metrics import read_metrics
from runner.records.record import RunRecord
from runner.records.state import newest_step
from runner.settings import TRAINING, Settings


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
    if record.path.parent.name == "runs" and not isinstance(error, TrainingError | ConfigurationError):
        yield "next", f"{_command(config, record, error)} {_what_it_does(error, step)}"


def _command(config: Settings, record: RunRecord, error: BaseException) -> str:
    words = [f"resume={record.path}"]
    if config.extensions:
        words.append(f"extensions=[{','.join(config.extensions)}]")
    if _is_bad_sample(error):
        words.append("data.on_bad=skip")
    if any(True for _ in config.loader.names()):
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
