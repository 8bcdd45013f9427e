"""`resume`: what must hold before a run is gone on with."""

from __future__ import annotations

from collections.abc import Iterator

from runner.errors import ConfigurationError, DataError
from runner.models.schedules import Schedule
from runner.records.earlier import resume_differences, run_to_resume
from runner.records.run_folder import RunFolder
from runner.settings import Settings


def resumable(config: Settings) -> RunFolder | None:
    """The run that `config.resume` names; None where nothing is resumed. Reads no data.

    Raises `ConfigurationError` where there is nothing to go on with, or it would not be the same run any more.
    """
    if config.resume is None:
        return None
    run = run_to_resume(config.resume)
    if config.verify and run.repeats is None:
        raise ConfigurationError(
            f"verify must go with a run that repeats another one, got {run.path}, which repeats none; leave it out"
        )
    epochs = run.config["train"]["epochs"]
    if run.document["status"] == "completed":
        _refuse_complete(config, run, epochs)
    changed = resume_differences(run, config.document(), config.backend)
    differences = [*changed, *_stretched(config, epochs), *_beginning_anew(config)]
    if differences and not config.resume_inexact:
        told = [f"resume must go on with the same run: {difference}" for difference in differences]
        raise ConfigurationError([*told, "resume_inexact=true goes on all the same, and the record says so"])
    return run


def refuse_other_data(config: Settings, run: RunFolder, fingerprint: str) -> None:
    """Raise `DataError` if the data is not what the run began with; its ids, sizes and times of change are compared."""
    before = run.document["data"].get("fingerprint", fingerprint)
    if fingerprint != before and not config.resume_inexact:
        raise DataError(
            f"resume must go on with the data of {run.path}, whose files had other names, sizes or times of change "
            f"(fingerprint {before[:12]}, now {fingerprint[:12]}); bring them back, or add resume_inexact=true"
        )


def _refuse_complete(config: Settings, run: RunFolder, epochs: int) -> None:
    if run.document["results"].get("fit", {}).get("stopped_early"):
        raise ConfigurationError(
            f"resume must be a run that is not done, got {run.path}, which stopped early; start another"
        )
    if config.train.epochs <= epochs:
        raise ConfigurationError(
            f"resume must be a run that is not done, got {run.path}, which is completed; "
            f"to train on give more epochs than its {epochs}: train.epochs={2 * epochs}"
        )


def _beginning_anew(config: Settings) -> Iterator[str]:
    """What no configuration can make the same again: an object of the user's own has forgotten where it was."""
    for _, name in config.loader.names():
        yield f"{name} makes the batches, and would make its first ones again"


def _stretched(config: Settings, epochs: int) -> Iterator[str]:
    rate = config.train.learning_rate
    if config.train.epochs != epochs and isinstance(rate, Schedule) and rate.arguments(1) != rate.arguments(2):
        yield (
            f"train.epochs is {config.train.epochs}, and was {epochs}: the learning rate would fall over another "
            "number of steps; set train.learning_rate.decay_steps from the start"
        )
