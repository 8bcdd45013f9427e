"""How much memory there is, and a refusal before it is exceeded."""

from __future__ import annotations

from pathlib import Path

from runner.errors import DataError

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


def format_bytes(count: float) -> str:
    """`count` bytes with a decimal prefix: `format_bytes(1_340_000)` is `'1.3 MB'`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
