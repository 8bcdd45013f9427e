"""Whether a model of the user's own can be saved and loaded again: tried before training, not noticed after it."""

from __future__ import annotations

import random
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from runner.errors import ConfigurationError

REGISTER = "@keras.saving.register_keras_serializable()"
NOT_FOUND = re.compile(r"Could not locate (class|function) '(\w+)'")
NO_CONFIG = re.compile(r"Object (\w+) was created by passing")
LAMBDA = re.compile(r"Requested the deserialization of .*lambda", re.IGNORECASE)


def refuse_unsavable(model: keras.Model, called: str, module: str) -> None:
    """Raise `ConfigurationError` unless a process that imports only `module` can load the compiled `model`.

    The model is written to a temporary file and loaded from it. What is random is left as it was.
    """
    with tempfile.TemporaryDirectory() as folder, _trying(), keras.device("cpu"):
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
