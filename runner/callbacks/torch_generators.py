"""PyTorch's own random generators, which Keras draws dropout from where a layer has no seed."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from runner.batch import Array

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
