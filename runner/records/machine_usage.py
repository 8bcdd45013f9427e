"""What a run uses of its machine since the last look: processor, memory and reads of its processes, and the network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil


@dataclass
class _Counts:
    """Counts that only grow: seconds of the processor, bytes that were requested from files, and bytes from disks."""

    cpu_seconds: float = 0.0
    read_bytes: int | None = None
    disk_bytes: int | None = None


class MachineUsage:
    """Looks at this process and its workers, whose process ids `pids` returns; each `sample` is since the last one.

    Threads count with their process. What a worker did before it was first seen counts in that sample.
    """

    def __init__(self, pids: Callable[[], Iterable[int]] = tuple) -> None:
        self._pids, self._own = pids, psutil.Process()
        self._processes: dict[int, psutil.Process] = {}
        self._before: dict[int, _Counts] = {}
        self._looked, self._network = time.monotonic(), _network()
        self.sample()

    def sample(self) -> dict[str, float | int | None]:
        """CPU in percent of one core, bytes of memory, and bytes per second; None where the system does not say.

        Memory is that of this process, and what workers have for themselves, so that shared memory counts once. Bytes
        that were read are those of files, also from the system's cache; those from disks are a part of them. The
        network is that of the whole machine.
        """
        now = time.monotonic()
        passed, self._looked = max(now - self._looked, 1e-9), now
        counts, memory = {}, 0
        for pid in (os.getpid(), *self._pids()):
            with suppress(psutil.Error):
                counts[pid], resident = self._look(pid)
                memory += resident
        since = [(count, self._before.get(pid, _Counts())) for pid, count in counts.items()]
        self._before = counts
        used = sum(max(0.0, new.cpu_seconds - old.cpu_seconds) for new, old in since)
        network, self._network = self._network, _network()
        received, sent = (_rate(old, new, passed) for old, new in zip(network, self._network, strict=True))
        return {
            "cpu_percent": round(100 * used / passed, 1),
            "memory_bytes": memory,
            "read_bytes_per_second": _sum(_rate(old.read_bytes or 0, new.read_bytes, passed) for new, old in since),
            "disk_bytes_per_second": _sum(_rate(old.disk_bytes or 0, new.disk_bytes, passed) for new, old in since),
            "received_bytes_per_second": received,
            "sent_bytes_per_second": sent,
        }

    def _look(self, pid: int) -> tuple[_Counts, int]:
        """The counts of a process, and its memory: of a worker, without what it shares."""
        process = self._own if pid == self._own.pid else self._processes.setdefault(pid, psutil.Process(pid))
        times, memory = process.cpu_times(), process.memory_info()
        shared = 0 if process is self._own else getattr(memory, "shared", 0)
        return _Counts(times.user + times.system, *_reads(process)), memory.rss - shared


def _reads(process: psutil.Process) -> tuple[int | None, int | None]:
    """Bytes that a process has requested from files, and those that came from disks."""
    try:
        counts: Any = process.io_counters()
    except (psutil.Error, OSError, AttributeError):  # not on every system, nor in every container
        return None, None
    return getattr(counts, "read_chars", None), counts.read_bytes


def _network() -> tuple[int | None, int | None]:
    """Bytes that the machine has received and sent, without what it sent to itself."""
    try:
        cards = psutil.net_io_counters(pernic=True)
    except OSError:
        return None, None
    outside = [card for name, card in cards.items() if name not in ("lo", "lo0")]
    return sum(card.bytes_recv for card in outside), sum(card.bytes_sent for card in outside)


def _rate(old: int | None, new: int | None, seconds: float) -> int | None:
    return None if old is None or new is None else max(0, round((new - old) / seconds))


def _sum(rates: Iterable[int | None]) -> int | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
