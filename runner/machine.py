"""Memory and CPU time: free memory of the machine, what processes use, and when garbage is collected."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runner.errors import DataError
from runner.messages import format_bytes

CGROUPS = Path("/sys/fs/cgroup")
LIMITS = (("memory.max", "memory.current", "{}"), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_{}"))
"""For control groups of version 2 and 1: the files of the limit and the use, and the names of counts in memory.stat."""

RLIMITS = ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData"))
"""Limits of a process (`ulimit -v` and `-d`), and what counts against each, as in proc(5)."""


def available_bytes(cgroup: Path | None = None, *, processes: int = 1) -> int:
    """Bytes that this process may still allocate: the machine's free memory, or less under a limit.

    Of what several `processes` share, each may have as much as every other.

    Containers and job schedulers set limits on the control group (version 1 or 2) of a process, or on one above it;
    shells set limits on the process.
    """
    import psutil

    folders = _own_cgroups() if cgroup is None else (cgroup,)
    groups = dict.fromkeys(group for folder in folders for group in (folder, *folder.parents))
    shared = [
        int(psutil.virtual_memory().available),
        *(count for group in groups if (count := _remaining(group)) is not None),
    ]
    return min([*(count // processes for count in shared), *_remaining_of_process()])


def _own_cgroups() -> tuple[Path, ...]:
    """The control groups of this process that may limit its memory."""
    lines = [line.split(":", 2) for line in _read(Path("/proc/self/cgroup")).splitlines()]
    parts = [("" if number == "0" else "memory", path) for number, names, path in lines
             if number == "0" or "memory" in names.split(",")]  # fmt: skip
    return tuple(CGROUPS / part / path.lstrip("/") for part, path in parts) or (CGROUPS,)


def _remaining(cgroup: Path) -> int | None:
    """Bytes that a control group may still allocate; None without a limit."""
    for limit_file, used_file, name in LIMITS:
        limit, used = _read(cgroup / limit_file), _read(cgroup / used_file)
        if limit.isdigit() and used.isdigit():
            # Files in the page cache count as used, but the system frees them when memory is needed.
            counts = dict(line.split() for line in _read(cgroup / "memory.stat").splitlines())
            cached = sum(int(counts.get(name.format(kind), 0)) for kind in ("active_file", "inactive_file"))
            return max(0, int(limit) - max(0, int(used) - cached))
    return None


def _remaining_of_process() -> Iterator[int]:
    """Bytes that the limits of this process leave to it."""
    for limit, kind in RLIMITS:
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            yield max(0, soft - _counts(Path("/proc/self/status")).get(kind, 0))


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def refuse_too_large(
    needed: int, available: int, *, kind: str, cached: bool = False, by_blocks: bool = False, processes: int = 1
) -> None:
    """Raise `DataError` if a loader needs more bytes than are free; both in each of `processes`."""
    if needed > available:
        fix = "lower loader.max_queue_size or loader.batch_size"
        if kind == "in_memory":
            fix = "choose loader=sequence, which reads while training"
        elif cached:
            kind, fix = f"{kind} with loader.cache=memory", "choose loader.cache=disk"
        elif by_blocks:
            kind, fix = f"{kind} with loader.order=blocks", "lower loader.window_mb"
        where = of_each = fewer = ""
        if processes > 1:
            where, of_each, fewer = f" in each of {processes} processes", " for each", ", lower distribute.processes"
        raise DataError(
            f"loader={kind} needs {format_bytes(needed)} of memory for this data{where}, but only "
            f"{format_bytes(available)} are free{of_each}; {fix}{fewer}, or make the samples smaller (data.target_size)"
        )


def is_spinning(file: str) -> bool:
    """Whether `file` is on a disk that is known to seek: Linux says so of a local disk, nobody of a network."""
    try:
        device = os.stat(file).st_dev  # noqa: PTH116
    except OSError:
        return False
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    return "1" in (_read(block / "queue" / "rotational"), _read(block / ".." / "queue" / "rotational"))


def cpu_seconds() -> float:
    """User and system seconds of this process and all its descendants, ended ones included, in steps of 0.01.

    On systems that do not report ended children, only of processes that are alive.
    """
    import psutil

    process, total = psutil.Process(), 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return round(total, 2)  # as the system counts: a sum of other parts, once a child has ended, is never less


def memory_bytes(pid: int) -> int:
    """Bytes of memory of a process and its children without mapped files; shared memory counts once. 0 if gone."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        status, children = _status(process), map(_status, process.children(recursive=True))
        return status["RssAnon"] + status["RssShmem"] + sum(child["RssAnon"] for child in children)
    return 0


def peak_memory_bytes() -> int:
    """Peak resident bytes of this process plus the peaks of its living children, each at its own moment.

    For this process, libraries, mapped files and shared arrays count. For a child, only its private memory counts, so
    that nothing counts twice. Without /proc, a child counts with its present memory.
    """
    import psutil

    process = psutil.Process()
    children = sum(_own_peak(_status(child)) for child in process.children(recursive=True))
    return (_status(process)["VmHWM"] or _most_resident()) + children


def _own_peak(status: Mapping[str, int]) -> int:
    """Peak private bytes of a process, if its shared memory has not shrunk since the peak."""
    return max(status["RssAnon"], status["VmHWM"] - status["RssFile"] - status["RssShmem"])


def _most_resident() -> int:
    """Peak resident bytes from the system; includes a program that the process ran before this one."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(process: Any) -> dict[str, int]:
    """Bytes of memory by kind, as in proc(5). Without /proc, all resident memory is `RssAnon`; 0 if gone."""
    import psutil

    kinds = dict.fromkeys(("RssAnon", "RssFile", "RssShmem", "VmHWM"), 0)
    counts = _counts(Path(f"/proc/{process.pid}/status"))
    if not counts:
        with suppress(psutil.Error):
            kinds["RssAnon"] = int(process.memory_info().rss)
    return {name: counts.get(name, number) for name, number in kinds.items()}


def _counts(status: Path) -> dict[str, int]:
    """The sizes in a process's status, in bytes; empty without /proc."""
    fields = (line.split(":", 1) for line in _read(status).splitlines() if line.endswith(" kB"))
    return {name: int(size.split()[0]) * 1024 for name, size in fields}


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage in the block: imports leave none, and to look for it takes a fifth of their time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
