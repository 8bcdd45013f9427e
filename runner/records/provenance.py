"""What a run ran on and with: versions, machine, state of the code. Nothing here fails a run."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

DISTRIBUTIONS = (
    "keras-runner",
    "numpy",
    "hydra-core",
    "omegaconf",
    "pydantic",
    "pillow",
    "simplejpeg",
    "opencv-python-headless",
)
"""What decides about a run beside Python, Keras and its backend; the last three decode images."""

GIT_SECONDS = 2.0


def versions(backend: str) -> dict[str, str | None]:
    """The installed versions by package; None for one that is not installed.

    Read from the packages' metadata: importing them takes seconds and memory.
    """
    names = ("keras", backend, *DISTRIBUTIONS)
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def machine() -> dict[str, str | int]:
    """Platform, processor, logical cores and memory of this machine."""
    return {
        "platform": platform.platform(),
        "cpu": _cpu_model() or platform.machine(),
        "num_cores": os.cpu_count() or 1,
        "memory_bytes": int(psutil.virtual_memory().total),
    }


def git_state(folder: Path = Path()) -> dict[str, str | bool | None] | None:
    """Commit of the repository around `folder`, and whether files git tracks differ from it.

    None without a repository, a commit or git; `dirty` is None where git took too long to say.
    Files git does not track do not count, or every run would be dirty by its own outputs.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else changes != ""}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model(info: Path = Path("/proc/cpuinfo")) -> str | None:
    if not info.exists():
        return None
    lines = info.read_text(errors="replace").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, None)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        # Without locks: a run must not get in the way of a commit made at the same time.
        answer = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.decode(errors="replace").strip() if answer.returncode == 0 else None
