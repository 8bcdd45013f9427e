"""All that a training depends on, taken from Keras's objects and put back into them.

PyTorch's own random generators, which Keras draws dropout from where a layer has no seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from runner.batch import Array, Batch
from runner.errors import ConfigurationError

CPU, CUDA = "torch/cpu", "torch/cuda/"


def torch_generators() -> dict[str, Array]:
    """The states of all generators by name, uint8; none on another backend."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {CPU: torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"{CUDA}{device}": state for device, state in enumerate(torch.cuda.get_rng_state_all())}
    return {name: np.array(state.cpu()) for name, state in states.items()}


def set_torch_generators(arrays: Mapping[str, Array]) -> None:
    """Set the generators whose states are among `arrays`; those of devices that are not there are left out."""
    if CPU not in arrays:
        return
    import torch

    torch.set_rng_state(torch.from_numpy(arrays[CPU]))
    for device in range(torch.cuda.device_count()):
        if (state := arrays.get(f"{CUDA}{device}")) is not None:
            torch.cuda.set_rng_state(torch.from_numpy(state), device)


Values = dict[str, Any]


def take(model: keras.Model, callbacks: Iterable[keras.callbacks.Callback]) -> tuple[dict[str, Array], Values]:
    """Copies of all arrays by name, and of the callbacks' plain values.

    The variables of a model hold its weights and the states of its random generators. Call it where Keras runs
    callbacks, between two steps.
    """
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # within `fit`, JAX's arrays are ahead of the variables
    arrays = {name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in _variables(model)}
    arrays |= torch_generators()
    values: Values = {}
    for name, callback in _with_state(callbacks):
        values[name] = {}
        for key in callback.kept:
            value = getattr(callback, key, None)
            if isinstance(value, list):  # weights
                arrays |= {f"{name}.{key}/{number}": np.array(array) for number, array in enumerate(value)}
                values[name][key] = {"arrays": len(value)}
            else:
                values[name][key] = value
    return arrays, values


def put_back(
    model: keras.Model, callbacks: Iterable[keras.callbacks.Callback], arrays: Mapping[str, Array], values: Values
) -> None:
    """The reverse of `take`, on a model that is built as that one was, all its variables there.

    Raises `ConfigurationError` if the arrays are those of another model.
    """
    variables = dict(_variables(model))
    missing = [name for name, variable in variables.items() if _shape(arrays.get(name)) != tuple(variable.shape)]
    if missing:
        raise ConfigurationError(
            f"resume must go on with the same model and optimizer: {len(missing)} of {len(variables)} variables have "
            "other shapes than in the state; start another run"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
    set_torch_generators(arrays)
    for name, callback in _with_state(callbacks):
        for key, value in values.get(name, {}).items():
            if isinstance(value, dict):
                value = [arrays[f"{name}.{key}/{number}"] for number in range(value["arrays"])]
            setattr(callback, key, value)


def build_variables(model: keras.Model, batch: Batch) -> tuple[str, ...]:
    """Let the model make the variables it makes at its first step: those of its optimizer and of its metrics.

    Takes two samples of `batch`, which the model does not learn from. Returns the names of what it reports.

    The symbolic step of `TensorFlowBatches` cannot stand for this one: only a step that is taken makes the variables,
    and tells the names, of metrics that a `test_step` of the user's own keeps; nor can this one stand for that, for
    it is traced for two samples, and would be again for a batch.
    """
    model.optimizer.build(model.trainable_variables)
    y = {name: part[:2] for name, part in batch.y.items()} if isinstance(batch.y, dict) else _first_two(batch.y)
    return tuple(model.test_on_batch(batch.x[:2], y, return_dict=True))


def _first_two(y: Array | None) -> Array | None:
    return None if y is None else y[:2]


def _variables(model: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    """By role and position: Keras's names differ from one process to the next."""
    roles: dict[str, Sequence[keras.Variable]] = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }
    for role, variables in roles.items():
        yield from ((f"{role}/{number}", variable) for number, variable in enumerate(variables))


def _with_state(callbacks: Iterable[keras.callbacks.Callback]) -> Iterator[tuple[str, keras.callbacks.Callback]]:
    having = (callback for callback in callbacks if getattr(callback, "kept", ()))
    yield from ((f"{number}.{type(callback).__name__}", callback) for number, callback in enumerate(having))


def _shape(array: Array | None) -> tuple[int, ...] | None:
    return None if array is None else array.shape
