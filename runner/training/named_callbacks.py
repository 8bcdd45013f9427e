"""The user's callbacks: made from `train.callbacks`, or given to `run` in Python; what cannot work is refused."""

from __future__ import annotations

from collections.abc import Iterable

import keras

from runner.callbacks.user_callbacks import UserCallback
from runner.errors import ConfigurationError
from runner.models.own_parts import class_of, construct
from runner.models.parts import Part, replaced_callback
from runner.models.schedules import Schedule
from runner.training.settings import Train
from runner.user_code import kind_of, load, make


def callbacks_of(settings: Train, given: Iterable[keras.callbacks.Callback] = ()) -> tuple[UserCallback, ...]:
    """The callbacks that `settings` name, then those that are `given`.

    Raises `ConfigurationError` with all problems: what is no callback, or what the runner does by other keys.
    """
    named = [(part.name, _made(part)) for part in settings.callbacks]
    made = [*named, *((type(callback).__name__, callback) for callback in given)]
    problems = [problem for name, callback in made if (problem := _problem(name, callback, settings)) is not None]
    if problems:
        raise ConfigurationError(problems)
    return tuple(UserCallback(callback, name) for name, callback in made)


def lost_states(callbacks: Iterable[UserCallback]) -> list[str]:
    """The names of callbacks that no resume restores."""
    return [callback.name for callback in callbacks if not callback.resumes_exactly]


def refuse_lost_states(callbacks: Iterable[UserCallback]) -> None:
    """Raise `ConfigurationError` if a run with these callbacks cannot be resumed exactly."""
    if lost := lost_states(callbacks):
        raise ConfigurationError(
            [
                *(f"exact resume is impossible: {STATE.format(name)}" for name in lost),
                "resume_inexact=true resumes anyway, and the record says so",
            ]
        )


STATE = (
    "the callback {} begins again, as no state holds it; give it get_state() and set_state(state), or stateless = True "
    "if it keeps nothing"
)


def _made(part: Part) -> object:
    if not part.is_own:
        return construct(class_of(keras.callbacks, part.name), part.arguments, "train.callbacks", part.name)
    found = load(part.name)
    is_made = isinstance(found, keras.callbacks.Callback) and not part.arguments
    return found if is_made else make(part.name, "train.callbacks", part.arguments, key="name")


def _problem(name: str, callback: object, settings: Train) -> str | None:
    if not isinstance(callback, keras.callbacks.Callback):
        return f"train.callbacks={name} must make a keras.callbacks.Callback, got {kind_of(callback)}"
    kind = type(callback)
    is_known = kind.__module__.partition(".")[0] == "keras"
    replaced = replaced_callback(kind.__name__) if is_known else None
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        replaced = replaced_callback("BackupAndRestore")
    if replaced is not None:
        return f"train.callbacks must leave out {kind.__name__}: {replaced}"
    scheduled = next((one for one in settings.each() if isinstance(one.learning_rate, Schedule)), None)
    if isinstance(callback, keras.callbacks.LearningRateScheduler) and scheduled is not None:
        return (
            f"train.learning_rate must be a number with the callback {name}, which sets the rate, got the schedule "
            f"{scheduled.describe_rate()}; leave one of them out"
        )
    return None
