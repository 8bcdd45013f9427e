"""Versions, machine, environment and state of the code of a run. Nothing here fails a run."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Sequence
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from typing import IO

from runner.records.files import write_atomically

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
"""Packages that affect results, next to Python, Keras and its backend; the last three decode images."""

GIT_SECONDS = 2.0
GPU_SECONDS = 5.0

PATCH_BYTES = 1 << 20
"""The most that is kept of a patch; its digest is always that of the whole patch."""

ENVIRONMENT = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_DETERMINISTIC_OPS",
    "TF_CUDNN_DETERMINISTIC",
    "XLA_FLAGS",
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "CUDA_VISIBLE_DEVICES",
    "PYTHONHASHSEED",
)
"""Variables that set the number of threads, the devices, and the order of floating-point operations."""

CPU_INFO = Path("/proc/cpuinfo")
CPU_VERSION = ("cpu family", "model", "stepping", "CPU implementer", "CPU part", "CPU variant")
"""What distinguishes processors of one name: a virtual machine may name only their brand."""


def versions(backend: str) -> dict[str, str | None]:
    """The installed versions by package; None for a package that is not installed.

    They are read from the packages' metadata: importing the packages takes seconds and memory.
    """
    names = ("keras", backend, *DISTRIBUTIONS)
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def packages() -> dict[str, str]:
    """Every installed package by normalised name, with its version."""
    found = map(_name_and_version, metadata.distributions())
    # Of several with one name the first is imported; a partly removed package has no name.
    first = {normalised(name): version for name, version in reversed([entry for entry in found if entry[0]])}
    return dict(sorted(first.items()))


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Name and version of a distribution; empty if it does not give them.

    The attributes of `Distribution` would each parse all metadata, including the package's README.
    """
    # The empty name reads an .egg-info that is a file.
    texts = map(distribution.read_text, ("METADATA", "PKG-INFO", ""))
    headers = HeaderParser().parsestr(next(filter(None, texts), "").partition("\n\n")[0])
    return headers.get("Name", ""), headers.get("Version", "")


def normalised(name: str) -> str:
    """A package's name as the package index normalises it.

    >>> normalised("Keras_Runner")
    'keras-runner'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


_SET: dict[str, tuple[str | None, str]] = {}
"""Variables that this process set for a framework: what was given, and what they are now."""


def set_variable(name: str, value: str) -> None:
    """Set a variable that a framework reads when it starts; `environment` still returns what was given."""
    if (given := os.environ.get(name)) != value:
        _SET[name] = given, value
        os.environ[name] = value


def environment() -> dict[str, str]:
    """The variables of `ENVIRONMENT` that are set, as the user gave them: runs in one process record the same."""
    given = {name: _given(name) for name in ENVIRONMENT}
    return {name: value for name, value in given.items() if value is not None}


def _given(name: str) -> str | None:
    value = os.environ.get(name)
    before, ours = _SET.get(name, (None, None))
    return before if value == ours else value


def machine() -> dict[str, object]:
    """Platform, processor, cores, memory and GPUs of this machine; `num_cores_usable` is the process's affinity."""
    import psutil  # the configuration imports this module

    return {
        "platform": platform.platform(),
        "cpu": _cpu_line("model name") or platform.machine(),
        "cpu_version": cpu_version(),
        "num_cores": os.cpu_count() or 1,
        "num_cores_usable": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else None,
        "memory_bytes": int(psutil.virtual_memory().total),
        "gpus": gpus(),
    }


def cpu_version(info: Path = CPU_INFO) -> dict[str, str]:
    """The lines of `CPU_VERSION` that the system has; processors of one brand round differently."""
    return {name: value for name in CPU_VERSION if (value := _cpu_line(name, info))}


def gpus() -> list[dict[str, str]] | None:
    """Name, driver and memory of each NVIDIA GPU, as nvidia-smi reports them; None without nvidia-smi."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    text = _output_of(query, Path(), GPU_SECONDS)
    if text is None:
        return None
    rows = (line.rsplit(", ", 2) for line in text.splitlines())
    return [dict(zip(("name", "driver", "memory"), row, strict=True)) for row in rows if len(row) == 3]


def git_state(folder: Path = Path(), *, patch_to: Path | None = None) -> dict[str, str | bool | None] | None:
    """The commit of the repository around `folder`, and whether and how tracked files differ from it.

    None without a repository, a commit or git; `dirty` is None if git took too long. `patch` is the digest of the
    changes, None without changes; the patch is written to `patch_to`, cut off after `PATCH_BYTES`. Untracked files do
    not count: the outputs of a run would make every run dirty.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    patch = _patch(folder, patch_to) if changes else None
    return {"commit": commit, "dirty": None if changes is None else changes != "", "patch": patch}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu_line(name: str, info: Path = CPU_INFO) -> str | None:
    """What the system says of the first processor under `name`."""
    if not info.exists():
        return None
    lines = (line.partition(":") for line in info.read_text(errors="replace").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), None)


def _patch(folder: Path, patch_to: Path | None) -> str | None:
    """SHA-256 of the output of `git diff HEAD`; None if it took too long."""
    command = ["git", "--no-optional-locks", "diff", "HEAD", "--full-index", "--no-color", "--no-ext-diff"]
    # Through a file: the patch may be too large for memory.
    with tempfile.TemporaryFile() as output:
        if not _run(command, folder, GIT_SECONDS, output):
            return None
        output.seek(0)
        digest, num_bytes = hashlib.file_digest(output, "sha256").hexdigest(), output.tell()
        if patch_to is not None:
            output.seek(0)
            kept = output.read(PATCH_BYTES)
            cut = f"\n# Cut off here: {PATCH_BYTES:,} of {num_bytes:,} bytes.\n".encode()
            write_atomically(patch_to, kept + cut if num_bytes > len(kept) else kept)
    return digest


def _git(folder: Path, *arguments: str) -> str | None:
    # Without locks: a run must not disturb a commit made at the same time.
    return _output_of(["git", "--no-optional-locks", *arguments], folder, GIT_SECONDS)


def _output_of(command: Sequence[str], folder: Path, seconds: float) -> str | None:
    """The stripped output of a program; None if it is missing, fails or takes too long."""
    with tempfile.TemporaryFile() as output:
        if not _run(command, folder, seconds, output):
            return None
        output.seek(0)
        return output.read().decode(errors="replace").strip()


def _run(command: Sequence[str], folder: Path, seconds: float, output: IO[bytes]) -> bool:
    """Run a program with its stdout in `output`; whether it succeeded within `seconds`."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
