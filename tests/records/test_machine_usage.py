"""What a run uses of its machine: its own process and its workers, each counted once, and the network."""

import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from runner.records import machine_usage
from runner.records.machine_usage import MachineUsage

WORKER = "x = b'1' * 40_000_000; print(len(open(__file__, 'rb').read() * 1), flush=True); input()"


@pytest.fixture
def worker(tmp_path):
    file = tmp_path / "worker.py"
    file.write_text(WORKER)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-S", str(file)], **pipes) as child:
        child.stdout.readline()
        yield child
        child.kill()


def test_memory_of_workers_is_added(worker):
    alone, together = MachineUsage().sample(), MachineUsage(lambda: [worker.pid]).sample()
    assert together["memory_bytes"] - alone["memory_bytes"] > 39_000_000


def test_dead_worker_is_left_out(worker):
    usage = MachineUsage(lambda: [worker.pid])
    worker.kill()
    worker.wait()
    assert usage.sample()["memory_bytes"] > 0


class FakeProcess:
    """A process whose counts a test sets."""

    cpu, read = 1.0, 0

    def __init__(self, pid=1):
        self.pid = pid

    def cpu_times(self):
        return SimpleNamespace(user=self.cpu, system=0.5)

    def memory_info(self):
        return SimpleNamespace(rss=100, shared=30)

    def io_counters(self):
        if self.read is None:
            raise psutil.AccessDenied
        return SimpleNamespace(read_chars=self.read, read_bytes=self.read // 4)


@pytest.fixture
def fakes(monkeypatch):
    """The clock, the processes by id, and the network's counts."""
    made = SimpleNamespace(now=10.0, own=FakeProcess(1), other=FakeProcess(2), received=0)
    cards = lambda pernic: {  # noqa: E731
        "lo": SimpleNamespace(bytes_recv=10**9, bytes_sent=10**9),
        "eth0": SimpleNamespace(bytes_recv=made.received, bytes_sent=0),
    }
    process = lambda pid=1: {1: made.own, 2: made.other}[pid]  # noqa: E731
    fake = SimpleNamespace(Process=process, net_io_counters=cards, Error=psutil.Error)
    monkeypatch.setattr(machine_usage, "psutil", fake)
    monkeypatch.setattr(machine_usage, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(machine_usage, "os", SimpleNamespace(getpid=lambda: 1))
    return made


def test_sample_is_since_the_last_one(fakes):
    usage = MachineUsage(lambda: [2])
    fakes.now, fakes.received = 12.0, 5_000
    fakes.own.cpu, fakes.own.read, fakes.other.cpu = 2.0, 800, 4.0
    assert usage.sample() == {
        "cpu_percent": 200.0,
        "memory_bytes": 170,
        "read_bytes_per_second": 400,
        "disk_bytes_per_second": 100,
        "received_bytes_per_second": 2_500,
        "sent_bytes_per_second": 0,
    }
    fakes.now = 13.0
    assert usage.sample()["cpu_percent"] == 0.0


def test_counts_that_are_not_known_are_blank(fakes):
    usage = MachineUsage()
    fakes.own.read = None
    row = usage.sample()
    assert row["read_bytes_per_second"] is None
    assert row["cpu_percent"] is not None
