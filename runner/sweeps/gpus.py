"""Which GPU a job gets, where several jobs run at once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
NONE = ("", "-1", "NoDevFiles")
"""What that variable holds where no GPU is to be seen."""


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA names them: what the environment lists, else all there are."""
    listed = environment.get(VISIBLE)
    if listed is not None:
        return () if listed.strip() in NONE else tuple(name.strip() for name in listed.split(","))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return tuple(done.stdout.split()) if done.returncode == 0 else ()


def of_slot(slot: int, gpus: Sequence[str], jobs: int) -> dict[str, str]:
    """What the environment of a job in this slot says more: its GPU, where jobs would have to share all of them."""
    return {VISIBLE: gpus[slot % len(gpus)]} if gpus and jobs > 1 else {}
