"""The devices that train one model together: which they are, and variables that each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from runner.distribute.settings import Distribute
from runner.errors import ConfigurationError
from runner.messages import plural


def chosen_devices(settings: Distribute) -> list[str]:
    """The names of the devices, such as `gpu:0`; none if `distribute.devices` is null.

    Raises `ConfigurationError` if there are fewer. Starts JAX.
    """
    if settings.devices is None:
        return []
    there: list[str] = keras.distribution.list_devices()
    if settings.devices == "all":
        return there
    if settings.devices > len(there):
        raise ConfigurationError(_too_many(settings.devices, there))
    return there[: settings.devices]


def _too_many(requested: int, there: Sequence[str]) -> str:
    kind = there[0].partition(":")[0]
    virtual = (
        f"; for a try on a CPU, set XLA_FLAGS=--xla_force_host_platform_device_count={requested} in the environment"
        if kind == "cpu"
        else ""
    )
    return (
        f"distribute.devices must be at most {len(there)}, as JAX finds {plural(len(there), f'{kind} device')}, got "
        f"{requested}; lower it, or give distribute.devices=all{virtual}"
    )


@contextmanager
def variables_on(settings: Distribute) -> Iterator[None]:
    """Within the block, Keras makes variables on all devices of `settings`. Train outside of it.

    Keras would distribute batches itself within such a block: it fails at a batch that cannot be divided, and has no
    batch ready while the model computes.
    """
    devices = chosen_devices(settings)
    with _scope(devices) if devices else nullcontext():
        yield


def scope_of(model: keras.Model) -> AbstractContextManager[None]:
    """Within the block, Keras makes variables where those of `model` are."""
    place = Placement.of(model)
    return nullcontext() if place is None else place.scope()


def _scope(devices: Sequence[str]) -> AbstractContextManager[None]:
    distribution = keras.distribution.DataParallel(devices=list(devices), auto_shard_dataset=False)
    scope: AbstractContextManager[None] = distribution.scope()
    return scope


@dataclass(frozen=True)
class Placement:
    """The devices of a model, on which its batches are placed: a row is on one of them.

    A batch that cannot be divided, as the last one may be, is on all of them, and each computes all of it.
    """

    model: keras.Model
    mesh: Any

    @classmethod
    def of(cls, model: keras.Model) -> Placement | None:
        """The placement for a model whose variables were made in `variables_on`; None for any other."""
        if keras.backend.backend() != "jax" or not model.variables:
            return None
        mesh = getattr(model.variables[0].value.sharding, "mesh", None)
        return None if mesh is None else cls(model, mesh)

    def scope(self) -> AbstractContextManager[None]:
        """Within the block, Keras makes variables on these devices."""
        return _scope([f"{device.platform}:{device.id}" for device in self.mesh.devices.flat])

    def build(self, batch: tuple[Any, ...]) -> None:
        """Make the variables of optimizer and metrics: left to `fit`, they would be on one device.

        Then the first step would be compiled twice, as it returns them on all.
        """
        with self.scope():
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            self.model._symbolic_build(data_batch=batch)

    def batches(self, batches: Iterable[Any], *, build: bool) -> Iterator[Any]:
        """Place each of `batches`; with `build` the first one builds the model."""
        for number, batch in enumerate(batches):
            placed = self.put(batch)
            if build and not number:
                self.build(placed)
            yield placed

    def put(self, batch: Any) -> Any:
        """The arrays of `batch`, shape `(n, …)`, on the devices."""
        import jax

        rows = {len(array) for array in keras.tree.flatten(batch)}
        divides = all(num % self.mesh.size == 0 for num in rows)
        spec = jax.sharding.PartitionSpec(*self.mesh.axis_names) if divides else jax.sharding.PartitionSpec()
        sharding = jax.sharding.NamedSharding(self.mesh, spec)
        return keras.tree.map_structure(lambda array: jax.device_put(np.asarray(array), sharding), batch)
