"""Objects that a Python program gives to `run`: its configuration, a model function, and callbacks."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from runner.component import Component
from runner.errors import ConfigurationError
from runner.models.custom import Custom as CustomModel
from runner.settings import TRAINING, Settings
from runner.user_code import kind_of, script_problem


def refuse_uncomposed(config: object) -> None:
    """Raise `ConfigurationError` if `config` is something else than settings."""
    if not isinstance(config, Settings):
        raise ConfigurationError(
            f"config must be what runner.compose([...]) returns, got {kind_of(config)}; give compose the overrides"
        )


def refuse_other_script(config: Settings) -> None:
    """Raise `ConfigurationError` if settings that are used name objects of a script that does not run here."""
    used: dict[str, Component] = {"data": config.data, "loader": config.loader}
    if config.mode in TRAINING:
        used |= {"model": config.model, "train": config.train}
    for group, component in used.items():
        for key, name in component.names():
            if (problem := script_problem(name)) is not None:
                raise ConfigurationError(f"{group}.{key}={problem}")


def with_model(config: Settings, model: Callable[..., Any] | None) -> Settings:
    """`config` with `model=custom`, whose target is the function `model`; its module joins `extensions`.

    So the run's configuration says how to build the model again. Raises `ConfigurationError` if no name can.
    """
    if model is None:
        return config
    name, module = getattr(model, "__qualname__", ""), getattr(model, "__module__", "")
    if not callable(model) or not name.isidentifier() or not module:
        got = f"{module}.{name}" if name else kind_of(model)
        raise ConfigurationError(
            f"model must be a function at the top level of a module, which builds a keras.Model, got {got}: a run must "
            "be able to build it again"
        )
    _refuse_without_training(config, "model")
    extensions = tuple(dict.fromkeys((*config.extensions, module)))
    return config.model_copy(update={"model": CustomModel(target=f"{module}.{name}"), "extensions": extensions})


def callback_digests(config: Settings, callbacks: Sequence[Any]) -> dict[str, str]:
    """The digest of the code of each callback, by its number and class. Only a run that trains takes callbacks.

    Raises `ConfigurationError` if one is no callback of Keras.
    """
    wrong = [one for one in callbacks if not _is_callback(one)] if isinstance(callbacks, Sequence) else [callbacks]
    if wrong:
        raise ConfigurationError(
            f"callbacks must be a list of keras.callbacks.Callback objects, got {kind_of(wrong[0])}"
        )
    if callbacks:
        _refuse_without_training(config, "callbacks")
        if config.distribute.world > 1:
            raise ConfigurationError(
                f"distribute.processes must be 1 with callbacks from Python, got {config.distribute.world}: other "
                "processes do not have them; leave them out, or give distribute.devices=all in place of processes"
            )
    return {
        f"callback {number} ({type(callback).__name__})": _digest(callback) for number, callback in enumerate(callbacks)
    }


def _is_callback(value: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.callbacks.Callback)


def _refuse_without_training(config: Settings, what: str) -> None:
    if config.mode not in TRAINING:
        raise ConfigurationError(f"{what} must go with mode=run or mode=fit, got mode={config.mode}; leave {what} out")


def _digest(value: Any) -> str:
    """SHA-256 of the code of an object of the user's: of its class, and of functions that it holds."""
    held = [item for _, item in sorted(getattr(value, "__dict__", {}).items()) if inspect.isfunction(item)]
    return hashlib.sha256("\n".join(map(_code_text, (type(value), *held))).encode()).hexdigest()


def _code_text(code: Any) -> str:
    """The source of a class or function; its compiled code where there is no source, as in some notebooks."""
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        functions = [code] if inspect.isfunction(code) else filter(inspect.isfunction, vars(code).values())
        return repr([(one.__code__.co_code, one.__code__.co_names) for one in functions])
