"""How much memory there is, and a refusal before it is exceeded."""

from __future__ import annotations

from pathlib import Path

from runner.errors import DataError

CGROUP = Path("/sys/fs/cgroup")


def available_bytes(cgroup: Path = CGROUP) -> int:
    """Bytes this process may still take: what the machine has free, or what its container's limit leaves."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    return free if limit is None or used is None else min(free, max(0, limit - used))


def _read(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def refuse_too_large(needed: int, available: int, *, kind: str) -> None:
    """Raise `DataError` with the figures if a loader needs more bytes than there are."""
    if needed > available:
        mend = (
            "choose loader=sequence, which reads while training"
            if kind == "in_memory"
            else "lower loader.max_queue_size or loader.batch_size"
        )
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
