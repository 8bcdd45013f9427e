"""How busy the NVIDIA GPUs of this process are, and their memory, by NVIDIA's own library (nvidia-ml-py)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from uuid import UUID

DRIVER = "libcuda.so.1"
"""CUDA's driver; a machine without NVIDIA GPUs has none."""

PACKAGE = "nvidia-ml-py"

MISSING = f"system.csv has no columns of the GPU without the package {PACKAGE}; pip install 'keras-runner[gpu]'"


def is_readable() -> bool:
    """Whether the package that reads GPUs is installed; it is not imported."""
    return find_spec("pynvml") is not None


def visible_uuids() -> list[str]:
    """The UUIDs of the GPUs that CUDA shows to this process, in its order; none without a GPU.

    `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` decide which these are. NVIDIA's library knows neither and numbers
    all GPUs of the machine, so that only the UUIDs say which are meant.
    """
    try:
        cuda = ctypes.CDLL(DRIVER)
    except OSError:
        return []
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return []
    uuid_of = getattr(cuda, "cuDeviceGetUuid_v2", None) or cuda.cuDeviceGetUuid  # that of a part, with MIG
    found = []
    for number in range(count.value):
        device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        if cuda.cuDeviceGet(ctypes.byref(device), number) == 0 and uuid_of(raw, device) == 0:
            found.append(str(UUID(bytes=bytes(raw))))
    return found


class GpuUsage:
    """Reads the GPUs with these UUIDs, by default all that CUDA shows to this process; `close` ends it.

    A GPU that NVIDIA's library does not know is left out, so there may be none.
    """

    def __init__(self, uuids: Sequence[str] | None = None) -> None:
        self._handles: list[Any] = []
        self._nvml: Any = None
        uuids = visible_uuids() if uuids is None else uuids
        if not uuids:
            return
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return
        self._nvml = pynvml
        self._handles = [handle for uuid in uuids if (handle := self._handle(uuid)) is not None]

    def sample(self) -> dict[str, float | None]:
        """For each GPU the percentage of time in which it computed, and its used memory, that of others included.

        A part of a GPU (MIG) has no percentage.
        """
        row: dict[str, float | None] = {}
        for number, handle in enumerate(self._handles):
            rates = self._read("nvmlDeviceGetUtilizationRates", handle)
            # Version 2 leaves out what the driver reserves, as nvidia-smi does; drivers before 510 do not have it.
            memory = self._read("nvmlDeviceGetMemoryInfo", handle, self._nvml.nvmlMemory_v2)
            memory = memory or self._read("nvmlDeviceGetMemoryInfo", handle)
            row[f"gpu{number}_percent"] = None if rates is None else rates.gpu
            row[f"gpu{number}_memory_bytes"] = None if memory is None else memory.used
        return row

    def close(self) -> None:
        """End the use of NVIDIA's library; a second call does nothing."""
        if self._nvml is not None:
            self._read("nvmlShutdown")
            self._nvml, self._handles = None, []

    def _handle(self, uuid: str) -> Any:
        found = (self._read("nvmlDeviceGetHandleByUUID", f"{kind}-{uuid}") for kind in ("GPU", "MIG"))
        return next((handle for handle in found if handle is not None), None)

    def _read(self, function: str, *given: Any) -> Any:
        """What a function of the library returns; None where the GPU has no such value."""
        try:
            return getattr(self._nvml, function)(*given)
        except self._nvml.NVMLError:
            return None
