"""NVIDIA GPUs by UUID, with a library and a driver that stand for NVIDIA's."""

import sys
from types import SimpleNamespace

import pytest

from runner.records import gpu_usage
from runner.records.gpu_usage import GpuUsage, visible_uuids

FIRST, SECOND, PART = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2, 3))


PERCENTS = {f"GPU-{SECOND}": 90, f"GPU-{FIRST}": 10}
"""Two GPUs in the order of the machine; a part of one has no utilization."""


class NvmlError(Exception):
    """What the library raises."""


def refusing(find):
    """A function of the library that raises its own error where there is nothing."""

    def read(name):
        if (found := find(name)) is None:
            raise NvmlError(name)
        return found

    return read


def memory_of(uuid, version=None):
    """With what the driver reserves; without it in the second version, which the second GPU does not have."""
    if version == "v2" and uuid.endswith("2"):
        raise NvmlError(version)
    return SimpleNamespace(used=int(uuid[-1]) * 1000 + (0 if version == "v2" else 500))


@pytest.fixture
def nvml(monkeypatch):
    calls = []
    made = SimpleNamespace(
        NVMLError=NvmlError,
        calls=calls,
        nvmlInit=lambda: calls.append("init"),
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetHandleByUUID=refusing({uuid: uuid for uuid in (*PERCENTS, f"MIG-{PART}")}.get),
        nvmlDeviceGetUtilizationRates=refusing(
            {uuid: SimpleNamespace(gpu=percent) for uuid, percent in PERCENTS.items()}.get
        ),
        nvmlMemory_v2="v2",
        nvmlDeviceGetMemoryInfo=memory_of,
    )
    monkeypatch.setitem(sys.modules, "pynvml", made)
    return made


def test_gpus_are_matched_by_uuid(nvml):
    usage = GpuUsage([FIRST, SECOND])
    assert usage.sample() == {
        "gpu0_percent": 10,
        "gpu0_memory_bytes": 1000,
        "gpu1_percent": 90,
        "gpu1_memory_bytes": 2500,
    }
    usage.close()
    usage.close()  # does nothing
    assert (nvml.calls, usage.sample()) == (["init", "shutdown"], {})


def test_part_of_a_gpu_has_no_percentage(nvml):
    assert GpuUsage([PART]).sample() == {"gpu0_percent": None, "gpu0_memory_bytes": 3000}


def test_unknown_gpu_is_left_out(nvml):
    assert GpuUsage(["00000000-0000-0000-0000-000000000009"]).sample() == {}


def test_without_a_gpu_nothing_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpu_usage, "DRIVER", "libcuda-that-no-machine-has.so")
    assert visible_uuids() == []
    assert GpuUsage().sample() == {}


def driver(code=0):
    """CUDA's driver with GPUs whose UUIDs end with 1 and 2; `code` is what it returns at first."""

    def count(made):
        made._obj.value = 2
        return 0

    def device(made, number):
        made._obj.value = number
        return 0

    def uuid(raw, device):
        raw[15] = device.value + 1
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: code, cuDeviceGetCount=count, cuDeviceGet=device, cuDeviceGetUuid_v2=uuid
    )


def test_driver_names_gpus_in_its_order(monkeypatch):
    monkeypatch.setattr(gpu_usage.ctypes, "CDLL", lambda name: driver())
    assert visible_uuids() == [FIRST, SECOND]


def test_driver_without_a_gpu_names_none(monkeypatch):
    monkeypatch.setattr(gpu_usage.ctypes, "CDLL", lambda name: driver(code=100))
    assert visible_uuids() == []
