"""What a run ran on and with: versions, machine, state of the code. Nothing here fails a run."""

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

import psutil

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
"""What decides about a run beside Python, Keras and its backend; the last three decode images."""

GIT_SECONDS = 2.0
GPU_SECONDS = 5.0

PATCH_BYTES = 1 << 20
"""How much of the changes to the code is kept; the digest is always that of all of them."""

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
"""Variables that decide how many threads compute, on what, and with which of several ways to the same sum."""


def versions(backend: str) -> dict[str, str | None]:
    """The installed versions by package; None for one that is not installed.

    Read from the packages' metadata: importing them takes seconds and memory.
    """
    names = ("keras", backend, *DISTRIBUTIONS)
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def packages() -> dict[str, str]:
    """Every installed package and its version, by names as they are normalised on the package index."""
    found = map(_name_and_version, metadata.distributions())
    # The first of a name is the one that is imported; a folder left half removed has no name.
    first = {normalised(name): version for name, version in reversed([entry for entry in found if entry[0]])}
    return dict(sorted(first.items()))


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """As the distribution has them; empty where it does not say.

    Its own attributes parse all of its metadata each, the package's whole README with it.
    """
    # The last is that of an .egg-info that is no folder.
    texts = map(distribution.read_text, ("METADATA", "PKG-INFO", ""))
    headers = HeaderParser().parsestr(next(filter(None, texts), "").partition("\n\n")[0])
    return headers.get("Name", ""), headers.get("Version", "")


def normalised(name: str) -> str:
    """A package's name in the one way of writing it.

    >>> normalised("Keras_Runner")
    'keras-runner'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def environment() -> dict[str, str]:
    """Those of `ENVIRONMENT` that are set."""
    return {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}


def machine() -> dict[str, object]:
    """Platform, processor, cores, memory and GPUs of this machine; `num_cores_usable` are those we may run on."""
    return {
        "platform": platform.platform(),
        "cpu": _cpu_model() or platform.machine(),
        "num_cores": os.cpu_count() or 1,
        "num_cores_usable": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else None,
        "memory_bytes": int(psutil.virtual_memory().total),
        "gpus": gpus(),
    }


def gpus() -> list[dict[str, str]] | None:
    """Name, driver and memory of each NVIDIA GPU, as its driver tells; None where there is no such driver."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    answer = _answer(query, Path(), GPU_SECONDS)
    if answer is None:
        return None
    rows = (line.rsplit(", ", 2) for line in answer.splitlines())
    return [dict(zip(("name", "driver", "memory"), row, strict=True)) for row in rows if len(row) == 3]


def git_state(folder: Path = Path(), *, patch_to: Path | None = None) -> dict[str, str | bool | None] | None:
    """Commit of the repository around `folder`, and whether, and how, files git tracks differ from it.

    None without a repository, a commit or git; `dirty` is None where git took too long to say. `patch` is the digest
    of the changes, None where there are none; they themselves are written to `patch_to`, cut off after `PATCH_BYTES`.
    Files git does not track do not count, or every run would be dirty by its own outputs.
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


def _cpu_model(info: Path = Path("/proc/cpuinfo")) -> str | None:
    if not info.exists():
        return None
    lines = info.read_text(errors="replace").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, None)


def _patch(folder: Path, patch_to: Path | None) -> str | None:
    """SHA-256 of what `git diff HEAD` says; None where it took too long."""
    command = ["git", "--no-optional-locks", "diff", "HEAD", "--full-index", "--no-color", "--no-ext-diff"]
    # Through a file: changes may be larger than what anyone wants to hold.
    with tempfile.TemporaryFile() as said:
        if not _says(command, folder, GIT_SECONDS, said):
            return None
        said.seek(0)
        digest, num_bytes = hashlib.file_digest(said, "sha256").hexdigest(), said.tell()
        if patch_to is not None:
            said.seek(0)
            kept = said.read(PATCH_BYTES)
            cut = f"\n# Cut off here: {PATCH_BYTES:,} of {num_bytes:,} bytes.\n".encode()
            write_atomically(patch_to, kept + cut if num_bytes > len(kept) else kept)
    return digest


def _git(folder: Path, *arguments: str) -> str | None:
    # Without locks: a run must not get in the way of a commit made at the same time.
    return _answer(["git", "--no-optional-locks", *arguments], folder, GIT_SECONDS)


def _answer(command: Sequence[str], folder: Path, seconds: float) -> str | None:
    """What a program says, without the space around it; None where it is not there, fails or takes too long."""
    with tempfile.TemporaryFile() as said:
        if not _says(command, folder, seconds, said):
            return None
        said.seek(0)
        return said.read().decode(errors="replace").strip()


def _says(command: Sequence[str], folder: Path, seconds: float, output: IO[bytes]) -> bool:
    """Whether a program does what it is asked in time; what it says goes to `output`."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
