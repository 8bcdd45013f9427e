"""The state of a training: take it from Keras's objects, and restore it.

A state holds all variables of the model, the optimizer and the metrics, the values of callbacks, and PyTorch's random
generators, from which Keras draws dropout in layers without a seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from runner.batch import Array, Batch, Targets
from runner.distribute.devices import Placement, scope_of
from runner.errors import ConfigurationError
from runner.messages import plural

CPU, CUDA = "torch/cpu", "torch/cuda/"


def torch_generators() -> dict[str, Array]:
    """The states of PyTorch's generators by name, uint8; empty on another backend."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {CPU: torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"{CUDA}{device}": state for device, state in enumerate(torch.cuda.get_rng_state_all())}
    return {name: np.array(state.cpu()) for name, state in states.items()}


def set_torch_generators(arrays: Mapping[str, Array]) -> None:
    """Set PyTorch's generators from `arrays`, which may lack them; states of missing devices are ignored."""
    if CPU not in arrays:
        return
    import torch

    torch.set_rng_state(torch.from_numpy(arrays[CPU]))
    for device in range(torch.cuda.device_count()):
        if (state := arrays.get(f"{CUDA}{device}")) is not None:
            torch.cuda.set_rng_state(torch.from_numpy(state), device)


Values = dict[str, Any]


def take(model: keras.Model, callbacks: Iterable[keras.callbacks.Callback]) -> tuple[dict[str, Array], Values]:
    """Copies of all arrays by name, and the callbacks' plain values.

    The variables of a model include its weights and the states of its random generators. Call it between two steps,
    from a callback.
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


def restore(
    model: keras.Model, callbacks: Iterable[keras.callbacks.Callback], arrays: Mapping[str, Array], values: Values
) -> None:
    """Restore what `take` returned, into a model of the same structure whose variables all exist.

    Raises `ConfigurationError` if the arrays belong to another model.
    """
    refuse_other_model(model, arrays)
    for name, variable in _variables(model):
        variable.assign(arrays[name])
    set_torch_generators(arrays)
    for name, callback in _with_state(callbacks):
        for key, value in values.get(name, {}).items():
            if isinstance(value, dict):
                value = [arrays[f"{name}.{key}/{number}"] for number in range(value["arrays"])]
            setattr(callback, key, value)


def refuse_other_model(model: keras.Model, arrays: Mapping[str, Array]) -> None:
    """Raise `ConfigurationError` if a variable that exists by now is not in `arrays`, or has another shape there."""
    variables = dict(_variables(model))
    missing = [name for name, variable in variables.items() if _shape(arrays.get(name)) != tuple(variable.shape)]
    if missing:
        raise ConfigurationError(
            f"resume needs the same model and optimizer: {len(missing)} of {plural(len(variables), 'variable')} have "
            "other shapes than in the state; start a new run"
        )


def build_optimizer(model: keras.Model) -> None:
    """Make the optimizer create its variables, once: that of mixed_float16 would create more of them each time."""
    if not model.optimizer.built:
        with scope_of(model):
            model.optimizer.build(model.trainable_variables)


def build_variables(model: keras.Model, batch: Batch) -> Mapping[str, Any]:
    """Make the model create the variables of its optimizer and metrics, as its first step would.

    Evaluates two samples of `batch`, from which the model does not learn. Returns the values of the metrics.

    `TensorFlowBatches` builds variables in another way, by a symbolic step, and neither can replace the other. Only a
    real step creates the variables, and returns the names, of metrics in a `test_step` of the user's own. And a real
    step of two samples is traced for that shape, so TensorFlow would trace it a second time for a batch.
    """
    build_optimizer(model)
    if (place := Placement.of(model)) is not None:
        place.build((_first_two(batch.x), _first_two(batch.y)))
    values: Mapping[str, Any] = model.test_on_batch(_first_two(batch.x), _first_two(batch.y), return_dict=True)
    return values


def _first_two(arrays: Targets) -> Targets:
    return keras.tree.map_structure(lambda array: array[:2], arrays)  # type: ignore[no-any-return]


def _variables(model: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    """All variables, named by role and position: Keras's names differ from process to process."""
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
