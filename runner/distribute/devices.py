"""The devices that train one model together: which they are, and variables that each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, Protocol

import keras
import numpy as np

from runner.batch import Array
from runner.distribute.ranks import Rank
from runner.errors import ConfigurationError
from runner.messages import plural

PREEMPTION = "jax_enable_preemption_service"
"""An option of JAX from 0.8.2 on: a service that takes SIGTERM, and does nothing."""


class DeviceChoice(Protocol):
    """The keys of `distribute` that choose devices."""

    @property
    def devices(self) -> Literal["all"] | int | None:
        """Devices of each process."""

    @property
    def processes(self) -> int:
        """Processes of each host."""

    @property
    def world(self) -> int:
        """Processes that train together."""


HEARTBEAT_SECONDS = 10
SHUTDOWN_SECONDS = 60


def chosen_devices(settings: DeviceChoice) -> list[str]:
    """The names of the devices, such as `gpu:0`; none if `distribute.devices` is null.

    Raises `ConfigurationError` if there are fewer. Starts JAX.
    """
    if settings.world > 1 and (of_each := _of_each_process(settings)):
        return list(chain.from_iterable(of_each))
    if settings.devices is None:
        return []
    there: list[str] = keras.distribution.list_devices()
    if settings.devices == "all":
        return there
    if settings.devices > len(there):
        raise ConfigurationError(_too_many(settings.devices, there))
    return there[: settings.devices]


def _of_each_process(settings: DeviceChoice) -> list[list[str]]:
    """The first devices of each process; none in a process that is no rank of a group."""
    import jax

    if jax.process_count() == 1:
        return []
    chosen, num = [], settings.devices if isinstance(settings.devices, int) else 1
    for process in range(jax.process_count()):
        devices = [device for device in jax.devices() if device.process_index == process]
        if len(devices) < num:
            there = [f"{device.platform}:{device.id}" for device in devices]
            raise ConfigurationError(_too_many(num, there))
        chosen.append([f"{device.platform}:{device.id}" for device in devices[:num]])
    return chosen


def connect(rank: Rank, address: str, settings: DeviceChoice) -> None:
    """Connect this process to the other ranks; before anything starts JAX, and once in a process.

    A rank that died is noticed within `HEARTBEAT_SECONDS`; whoever started the ranks notices it earlier.
    """
    import jax

    if PREEMPTION in jax.config.values:
        jax.config.update(PREEMPTION, False)
    num = settings.devices if isinstance(settings.devices, int) else 1
    local = rank.number % settings.processes
    jax.distributed.initialize(
        address,
        rank.world,
        rank.number,
        local_device_ids=list(range(local * num, (local + 1) * num)),
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        shutdown_timeout_seconds=SHUTDOWN_SECONDS,
    )


def disconnect() -> None:
    """Wait for the other ranks; a rank that leaves without it ends them."""
    import jax

    jax.distributed.shutdown()


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
def variables_on(settings: DeviceChoice) -> Iterator[None]:
    """Within the block, Keras makes variables on all devices of `settings`. Train outside of it.

    Keras would distribute batches itself within such a block: it fails at a batch that cannot be divided, and has no
    batch ready while the model computes.
    """
    devices = chosen_devices(settings)
    with _scope(devices) if devices else nullcontext():
        yield


@contextmanager
def variables_on_own(settings: DeviceChoice) -> Iterator[None]:
    """Within the block, Keras makes variables on the devices of this rank alone: its model needs no other rank."""
    import jax

    of_each = _of_each_process(settings)
    own = of_each[jax.process_index()] if of_each else []
    with _scope(own) if len(own) > 1 else nullcontext():
        yield


def on_own_cpu() -> AbstractContextManager[None]:
    """Within the block, Keras computes on a CPU of this process; by the name `cpu` JAX takes that of rank 0."""
    name: Any = "cpu"
    if keras.backend.backend() == "jax":
        import jax

        name = jax.local_devices(backend="cpu")[0]
    device: AbstractContextManager[None] = keras.device(name)
    return device


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
        """Make the variables of metrics: left to `fit`, they would be on one device.

        Then the first step would be compiled twice, as it returns them on all.
        """
        with self.scope():
            self.model._symbolic_build(data_batch=batch)

    def batches(self, batches: Iterable[Any], sizes: Iterable[int | None], *, build: bool) -> Iterator[Any]:
        """Place each of `batches`, which have `sizes` as a whole; with `build` the first one builds the model."""
        for number, (batch, size) in enumerate(zip(batches, sizes, strict=False)):
            placed = self.put(batch, size)
            if build and not number:
                self.build(placed)
            yield placed

    def put(self, batch: Any, size: int | None = None) -> Any:
        """The arrays of `batch`, shape `(n, …)`, on the devices; `size`: the rows of all processes together."""
        import jax

        size = size or len(keras.tree.flatten(batch)[0])
        divides = size % self.mesh.size == 0
        spec = jax.sharding.PartitionSpec(*self.mesh.axis_names) if divides else jax.sharding.PartitionSpec()
        sharding = jax.sharding.NamedSharding(self.mesh, spec)

        def place(array: Any) -> Any:
            array = np.asarray(array)
            return jax.make_array_from_process_local_data(sharding, array, (size, *array.shape[1:]))

        return keras.tree.map_structure(place, batch)


def gathered(values: Any) -> Any:
    """The arrays of a whole batch, of which each rank has the same number of rows in `values`; all ranks must call it.

    Compares what the model gets: each rank gives the rows that it has read. Bytes are exchanged, as JAX would change
    the dtype of 64-bit numbers.
    """
    return keras.tree.map_structure(_gathered, values)


def _gathered(array: Array) -> Array:
    from jax.experimental import multihost_utils

    rows = np.ascontiguousarray(array)
    in_bytes = rows.reshape(len(rows), -1).view(np.uint8)
    whole = np.ascontiguousarray(multihost_utils.process_allgather(in_bytes, tiled=True))
    return whole.view(rows.dtype).reshape((len(whole), *rows.shape[1:]))
