"""`resume`: check that a run can be resumed exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.errors import ConfigurationError, DataError
from runner.messages import plural, yaml_text
from runner.models.schedules import OwnSchedule, Schedule
from runner.records.earlier import resume_differences, run_to_resume
from runner.records.run_folder import RunFolder
from runner.records.state import State
from runner.settings import Settings
from runner.training.settings import Train

NOTHING: Mapping[str, str] = {}


def resumable(config: Settings, given: Mapping[str, str] = NOTHING) -> RunFolder | None:
    """The run that `config.resume` names; None without `resume`. Reads no data.

    `given` are the digests of what a Python program gives to it.

    Raises `ConfigurationError` if that run cannot be resumed, or would not be the same run afterwards.
    """
    if config.resume is None:
        return None
    run = run_to_resume(config.resume, takeover=config.resume_takeover)
    if config.verify and run.repeats is None:
        raise ConfigurationError(
            f"verify needs a run that repeats another one (rerun=), got {run.path}, which does not; leave verify out"
        )
    epochs = run.final_config["train"]["epochs"]
    if run.document["status"] == "completed":
        _refuse_complete(config, run, epochs)
    if (done := len(run.metrics)) > config.train.epochs:
        raise ConfigurationError(fewer_epochs(run, done, config.train))
    changed = resume_differences(run.completed(Settings.completed), config.document(), config.backend, given)
    differences = [*changed, *_stretched(config, epochs), *_restarted(config)]
    if differences and not config.resume_inexact:
        problems = [f"exact resume is impossible: {difference}" for difference in differences]
        raise ConfigurationError([*problems, "resume_inexact=true resumes anyway, and the record says so"])
    return run


def fewer_epochs(run: RunFolder, done: int, train: Train) -> str:
    """The problem with a run that has trained in more epochs than are requested now."""
    if train.phases:
        return (
            f"the epochs of train.phases must add up to at least {done}, as {run.path} has trained in "
            f"{plural(done, 'epoch')}, got {train.epochs}; repeat its phases and add one, or start a new run"
        )
    return (
        f"train.epochs must be at least {done}, as {run.path} has trained in {plural(done, 'epoch')}, got "
        f"{train.epochs}; give train.epochs={done} or more, or start a new run"
    )


def refuse_other_data(config: Settings, run: RunFolder, data: Mapping[str, Any]) -> None:
    """Raise `DataError` if the splits, or the ids, sizes or modification times of the data have changed.

    `data` is the section of run.json.
    """
    if config.resume_inexact:
        return
    fingerprint, splits = data["fingerprint"], data.get("samples")
    before = run.document["data"].get("fingerprint", fingerprint)
    splits_before = run.document["data"].get("samples", splits)
    if fingerprint == before and splits != splits_before:  # an earlier version may have read them in another way
        raise DataError(
            f"exact resume is impossible: the data of {run.path} had the splits {yaml_text(splits_before)}, and has "
            f"{yaml_text(splits)} now; start a new run, or add resume_inexact=true"
        )
    if fingerprint != before:
        raise DataError(
            f"exact resume is impossible: the data of {run.path} had other file names, sizes or modification times "
            f"(fingerprint {before[:12]}, now {fingerprint[:12]}); restore them, or add resume_inexact=true"
        )


def where_to_start(start: State | None, steps_per_epoch: int) -> str:
    """Where a resumed run continues."""
    if start is None:
        return "from the beginning: the run has saved no state"
    epoch, done = divmod(start.step, steps_per_epoch)
    if start.awaits_validation:
        return f"from the validation of epoch {epoch}"
    return f"from epoch {epoch + 1}" + (f", after {done:,} of {plural(steps_per_epoch, 'step')}" if done else "")


def _refuse_complete(config: Settings, run: RunFolder, epochs: int) -> None:
    before = run.final_config["train"].get("phases") or ()
    if 0 < len(before) < len(config.train.phases):
        return
    if run.document["results"].get("fit", {}).get("stopped_early"):
        raise ConfigurationError(
            f"resume needs an unfinished run, got {run.path}, which stopped early; start a new run"
        )
    if config.train.epochs <= epochs and config.train.phases:
        raise ConfigurationError(
            f"resume needs an unfinished run, got {run.path}, which is completed; to train further, give train.phases "
            f"with one more after its {plural(len(before), 'phase')}"
        )
    if config.train.epochs <= epochs:
        raise ConfigurationError(
            f"resume needs an unfinished run, got {run.path}, which is completed; "
            f"to train further, give more than its {plural(epochs, 'epoch')}: train.epochs={2 * epochs}"
        )


def _restarted(config: Settings) -> Iterator[str]:
    """Objects of the user's own that make batches: their position in the data cannot be restored."""
    for _, name in config.loader.names():
        yield f"{name} would restart at its first batch"


def _stretched(config: Settings, epochs: int) -> Iterator[str]:
    rate = config.train.learning_rate
    if (
        config.train.epochs != epochs
        and not config.train.phases
        and isinstance(rate, Schedule)
        and rate.keras_arguments(1) != rate.keras_arguments(2)
    ):
        own = isinstance(rate, OwnSchedule)
        mend = "give it the steps as an argument" if own else "set train.learning_rate.decay_steps"
        yield (
            f"train.epochs is {config.train.epochs}, and was {epochs}: the learning rate would decay over another "
            f"number of steps; next time, {mend}"
        )
