"""Whether a model of the user's own can be saved and loaded again: tried before training, not noticed after it."""

from __future__ import annotations

import json
import random
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from runner.distribute.devices import on_own_cpu
from runner.errors import ConfigurationError

REGISTER = "@keras.saving.register_keras_serializable()"
NOT_FOUND = re.compile(r"Could not locate (class|function) '(\w+)'")
NOT_RETURNED = re.compile(r"(\w+)\.__init__\(\) missing \d+ required [\w-]+ arguments?: '(\w+)'")
NO_CONFIG = re.compile(r"Object (\w+) was created by passing")
LAMBDA = re.compile(r"Requested the deserialization of .*lambda", re.IGNORECASE)


def refuse_unsavable(model: keras.Model, called: str, module: str) -> None:
    """Raise `ConfigurationError` unless a process that imports only `module` can load the compiled `model`.

    The model is written to a temporary file and loaded from it. What is random is left as it was.
    """
    with tempfile.TemporaryDirectory() as folder, _trying(), on_own_cpu():
        file = Path(folder, "model.keras")
        try:
            model.save(file)
            loaded = keras.saving.load_model(file)
        except Exception as error:  # Keras passes on the errors of the user's classes
            raise ConfigurationError(
                f"{called} must return a model that can be saved and loaded again, got {_reason(str(error), module)}"
            ) from error
    if not loaded.compiled:
        raise ConfigurationError(
            f"{called} must return a model that can be saved and loaded again, got one whose compile() is its own; "
            "give its class get_compile_config() and compile_from_config()"
        )
    if not _same_weights(model, loaded):
        raise ConfigurationError(
            f"{called} must return a model that can be saved and loaded again, got one that loads with other weights; "
            "create the weights of a layer in its build(), and layers in __init__()"
        )


def refuse_unloadable(part: Any, called: str, module: str, arguments: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` unless a process that imports only `module` can load a model that holds `part`.

    `part` is a function or an object that a model is compiled with. It is written as `model.save` writes it, and read
    as `load_model` reads it, which finds a class or function of the user's by what importing its module registers, and
    in no other way. So a new process would find the same.
    """
    if getattr(part, "__name__", "") == "<lambda>":
        raise ConfigurationError(f"{called} must be no lambda, which no file can hold; write a function with def")
    try:
        with _trying():
            text = json.dumps(keras.saving.serialize_keras_object(part))
            loaded = keras.saving.deserialize_keras_object(json.loads(text))
    except Exception as error:  # Keras passes on the errors of the user's classes
        raise ConfigurationError(
            f"{called} must be loadable with a saved model, got {_reason(str(error), module)}"
        ) from error
    for name in arguments:
        if hasattr(part, name) and repr(getattr(part, name)) != repr(getattr(loaded, name, None)):
            raise ConfigurationError(
                f"{called} must be loadable with a saved model, got one that loads with another {name}; give it a "
                f"method get_config() that returns {{**super().get_config(), {name!r}: self.{name}}}"
            )


@contextmanager
def _trying() -> Iterator[None]:
    """Without warnings, and without what is registered only once the user's function runs; keeps random states."""
    registered, states = keras.saving.get_custom_objects(), (random.getstate(), np.random.get_state())
    known = dict(registered)
    for name, value in known.items():
        if "<locals>" in getattr(value, "__qualname__", ""):
            del registered[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registered.update(known)
        random.setstate(states[0])
        np.random.set_state(states[1])


def _reason(message: str, module: str) -> str:
    """What Keras could not save or load, and the remedy."""
    if found := NOT_FOUND.search(message):
        kind, name = found.groups()
        keyword = "class" if kind == "class" else "def"
        return (
            f"one with the {kind} {name}, which Keras does not find when it loads the file; write {REGISTER} above "
            f"`{keyword} {name}`, at the top level of {module} or of a module that it imports"
        )
    if LAMBDA.search(message):
        return (
            f"one with a lambda, which no file can hold; write a function at the top level of {module}, with "
            f"{REGISTER} above it, in its place"
        )
    if found := NOT_RETURNED.search(message):
        kind, name = found.groups()
        return (
            f"one with the class {kind}, whose get_config() leaves out the argument {name}; give it a method "
            f"get_config() that returns {{**super().get_config(), {name!r}: self.{name}}}"
        )
    if found := NO_CONFIG.search(message):
        name = found[1]
        return (
            f"one with the class {name}, whose arguments are not saved; give it a method get_config() that returns "
            f"{{**super().get_config(), 'units': self.units}}, and write {REGISTER} above `class {name}`"
        )
    lines = [line for line in message.splitlines() if line.strip()]
    return f"one that fails: {lines[0] if lines else 'no reason given'}"


def _same_weights(model: keras.Model, loaded: keras.Model) -> bool:
    before, after = model.get_weights(), loaded.get_weights()
    return len(before) == len(after) and all(
        one.shape == other.shape and one.tobytes() == other.tobytes() for one, other in zip(before, after, strict=True)
    )
