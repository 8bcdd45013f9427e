"""How much memory there is, and a refusal before it is exceeded.

What a process and its children use: the time of processors, and memory.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.errors import DataError
from runner.messages import format_bytes

CGROUPS = Path("/sys/fs/cgroup")


def available_bytes(cgroup: Path | None = None) -> int:
    """Bytes this process may still take: what the machine has free, or what a limit leaves.

    Containers and job schedulers set limits on the control group (version 2) of a process, or on one above it.
    """
    import psutil

    folder = _own_cgroup() if cgroup is None else cgroup
    left = [_left(group) for group in (folder, *folder.parents)]
    return min([int(psutil.virtual_memory().available), *(count for count in left if count is not None)])


def _own_cgroup() -> Path:
    lines = _read(Path("/proc/self/cgroup")).splitlines()
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    return CGROUPS / own


def _left(cgroup: Path) -> int | None:
    """Bytes a control group may still take; None if it has no limit."""
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if not (limit.isdigit() and used.isdigit()):
        return None
    # Files that were read stay in memory and count as used, until someone needs the room.
    counts = dict(line.split() for line in _read(cgroup / "memory.stat").splitlines())
    cached = sum(int(counts.get(name, 0)) for name in ("active_file", "inactive_file"))
    return max(0, int(limit) - max(0, int(used) - cached))


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def refuse_too_large(needed: int, available: int, *, kind: str, cached: bool = False) -> None:
    """Raise `DataError` with the figures if a loader needs more bytes than there are."""
    if needed > available:
        mend = "lower loader.max_queue_size or loader.batch_size"
        if kind == "in_memory":
            mend = "choose loader=sequence, which reads while training"
        elif cached:
            kind, mend = f"{kind} with loader.cache=memory", "choose loader.cache=disk"
        raise DataError(
            f"loader={kind} needs {format_bytes(needed)} of memory for this data, and {format_bytes(available)} "
            f"are free; {mend}, or make the samples smaller (data.target_size)"
        )


def cpu_seconds() -> float:
    """User and system seconds so far of this process and its children, of theirs too, whether they still live or not.

    Where the system does not tell of children that have ended, only of those that live.
    """
    import psutil

    process, total = psutil.Process(), 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_bytes(pid: int) -> int:
    """Memory of a process and its children that no file backs; what they share counts once. 0 where it is gone."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        status, children = _status(process), map(_status, process.children(recursive=True))
        return status["RssAnon"] + status["RssShmem"] + sum(child["RssAnon"] for child in children)
    return 0


def peak_memory_bytes() -> int:
    """The most that was resident of this process since it began, and of each child that lives, at its own moment.

    Of this process all of it counts: libraries and mapped files, arrays it shares with children. Of a child only what
    no file backs and it shares with nobody, so that nothing counts twice. Without /proc: what a child has by now.
    """
    import psutil

    process = psutil.Process()
    children = sum(_own_peak(_status(child)) for child in process.children(recursive=True))
    return (_status(process)["VmHWM"] or _most_resident()) + children


def _own_peak(status: Mapping[str, int]) -> int:
    """The most a process held that is its own alone, as far as what it shares has not become less since."""
    return max(status["RssAnon"], status["VmHWM"] - status["RssFile"] - status["RssShmem"])


def _most_resident() -> int:
    """As the system counted it for this process, whatever program it ran before this one included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(process: Any) -> dict[str, int]:
    """Bytes of memory by kind, as in proc(5); all that is resident as `RssAnon` where there is no /proc; 0 if gone."""
    import psutil

    kinds = dict.fromkeys(("RssAnon", "RssFile", "RssShmem", "VmHWM"), 0)
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        with suppress(psutil.Error):
            kinds["RssAnon"] = int(process.memory_info().rss)
        return kinds
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields.get(name, "0").split()[0]) * 1024 for name in kinds}
