"""Callbacks of the user's own within the list of a run: named where they fail, with columns and a state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np

from runner.batch import Array
from runner.errors import RunnerError
from runner.messages import first_few
from runner.records.metrics import EPOCH, FACTS
from runner.user_code import kind_of

HOOKS = tuple(name for name in dir(keras.callbacks.Callback) if name.startswith("on_"))
STATELESS = (
    keras.callbacks.LambdaCallback,
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TerminateOnNaN,
)
"""Callbacks of Keras's that keep nothing from one step to the next."""

RATE = "learning_rate"
"""A column of every run that a callback may set: Keras's own put the epoch's rate there."""

ARRAY = "$array"
"""The key, in the state of a callback, of an array that is stored next to it."""


class UserCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback of the user's. `name` is the one in messages; only hooks that it overrides are called.

    `added` are the names that it has added to the logs of epochs: columns of metrics.csv.
    """

    def __init__(self, callback: keras.callbacks.Callback, name: str) -> None:
        super().__init__()
        self.callback, self.name = callback, name
        self.async_safe = bool(getattr(callback, "async_safe", False))
        self.added: set[str] = set()
        for hook in HOOKS:
            if not getattr(getattr(callback, hook), "_is_default", False):  # Keras's mark of a method that does nothing
                setattr(self, hook, partial(self._call, hook))
        self._ends_epochs = "on_epoch_end" in vars(self)
        self.on_epoch_end = self._end_epoch

    @property
    def has_state(self) -> bool:
        """Whether it gives and takes a state."""
        return all(callable(getattr(self.callback, name, None)) for name in ("get_state", "set_state"))

    @property
    def resumes_exactly(self) -> bool:
        """Whether a resumed run goes on as if it had never stopped."""
        is_stateless = getattr(self.callback, "stateless", False) is True or type(self.callback) in STATELESS
        return self.has_state or is_stateless

    def set_params(self, params: Any) -> None:
        """Hand over Keras's parameters."""
        super().set_params(params)
        self.callback.set_params(params)

    def set_model(self, model: keras.Model) -> None:
        """Hand over the model."""
        super().set_model(model)
        self.callback.set_model(model)

    def state(self, key: str, arrays: dict[str, Array]) -> Any:
        """Its state as plain values; arrays go to `arrays`, under names that begin with `key`."""
        with self._named("get_state"):
            given = self.callback.get_state()
        return self._plain(given, key, arrays)

    def restore(self, state: Any, arrays: Mapping[str, Array]) -> None:
        """Set the state that `state` returned."""
        with self._named("set_state"):
            self.callback.set_state(_with_arrays(state, arrays))

    def _call(self, hook: str, *args: Any, **kwargs: Any) -> None:
        with self._named(hook):
            getattr(self.callback, hook)(*args, **kwargs)

    @contextmanager
    def _named(self, hook: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            error.add_note(f"raised by train.callbacks={self.name} in {hook}")
            raise

    def _end_epoch(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Call `on_epoch_end`; what it adds to `logs` must be numbers."""
        if not self._ends_epochs:
            return
        logs = {} if logs is None else logs
        before = dict(logs)
        self._call("on_epoch_end", epoch, logs)
        if missing := before.keys() - logs.keys():
            raise RunnerError(
                f"train.callbacks={self.name} must leave what is in the logs, and has removed {first_few(missing)}"
            )
        for name in [name for name, value in logs.items() if name not in before or value is not before[name]]:
            if name in (EPOCH, *FACTS) and name != RATE:
                raise RunnerError(
                    f"train.callbacks={self.name} must add columns of other names than those of the run, got {name!r}; "
                    "rename it"
                )
            logs[name] = self._number(name, logs[name])
            if name not in before and name != RATE:
                self.added.add(name)

    def _number(self, name: str, value: Any) -> float:
        try:
            array = np.asarray(keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value)
            if array.ndim == 0 and array.dtype.kind in "biuf":
                return float(array)
        except (TypeError, ValueError):
            pass
        raise RunnerError(
            f"train.callbacks={self.name} must add only numbers to the logs of an epoch, got {name}: {kind_of(value)}; "
            "keep anything else in the callback"
        )

    def _plain(self, value: Any, key: str, arrays: dict[str, Array]) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray) or keras.ops.is_tensor(value):
            arrays[key] = np.array(keras.ops.convert_to_numpy(value))
            return {ARRAY: key}
        if isinstance(value, dict) and all(isinstance(name, str) for name in value):
            return {name: self._plain(item, f"{key}/{name}", arrays) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(item, f"{key}/{number}", arrays) for number, item in enumerate(value)]
        raise RunnerError(
            f"get_state of train.callbacks={self.name} must return numbers, texts, arrays, and lists and mappings of "
            f"these by text, got {kind_of(value)}"
        )


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {ARRAY}:
            return arrays[value[ARRAY]]
        return {name: _with_arrays(item, arrays) for name, item in value.items()}
    return [_with_arrays(item, arrays) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class UserStates:
    """The states of the user's callbacks at one moment: plain values by callback, and arrays by name."""

    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def take(cls, callbacks: Iterable[keras.callbacks.Callback]) -> UserStates:
        """The states of those of `callbacks` that have one."""
        arrays: dict[str, Array] = {}
        values = {key: callback.state(key, arrays) for key, callback in _with_state(callbacks)}
        return cls(values, arrays)

    def restore(self, callbacks: Iterable[keras.callbacks.Callback]) -> None:
        """Set the states of `callbacks`; one that is new keeps its own."""
        for key, callback in _with_state(callbacks):
            if key in self.values:
                callback.restore(self.values[key], self.arrays)


def _with_state(callbacks: Iterable[keras.callbacks.Callback]) -> Iterator[tuple[str, UserCallback]]:
    """The user's callbacks that have a state, by a name that the same configuration gives them again."""
    users = (callback for callback in callbacks if isinstance(callback, UserCallback))
    yield from ((f"user.{number}.{one.name}", one) for number, one in enumerate(users) if one.has_state)
