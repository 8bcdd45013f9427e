"""What a start costs: CPU time, compared with importing the libraries that a configuration needs."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = ["-c", "import hydra, omegaconf, pydantic"]
FEWEST, MOST = 5, 15


def cpu_seconds(command, folder):
    """User and system time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("arguments", "most"), [(["sead=1"], 4.0), (["--cfg", "job"], 4.0), (["--help"], 5.0)], ids=["error", "cfg", "help"]
)
def test_start_costs_a_few_imports(arguments, most, tmp_path):
    starts, imports = [], []
    for number in range(MOST):
        imports.append(cpu_seconds(LIBRARIES, tmp_path))
        starts.append(cpu_seconds(["-m", "runner", *arguments], tmp_path))
        ratio = min(starts) / min(imports)
        if number >= FEWEST and ratio <= most:
            break
    assert ratio <= most
