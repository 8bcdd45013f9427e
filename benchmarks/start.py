"""CPU time of starts that run nothing, as multiples of importing the libraries that a configuration needs.

The first round writes bytecode, as a user's first start does, and is not counted.

python benchmarks/start.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = "import of hydra, omegaconf and pydantic"
COMMANDS = {
    LIBRARIES: ["-c", "import hydra, omegaconf, pydantic"],
    "configuration error": ["-m", "runner", "sead=1"],
    "--cfg job": ["-m", "runner", "--cfg", "job"],
    "--help": ["-m", "runner", "--help"],
}


def cpu_seconds(command: list[str], folder: str) -> float:
    """User and system seconds of a Python process in `folder`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run all commands in turn, several rounds, and print the least seconds of each and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + rounds):
            for name, command in COMMANDS.items():
                seconds[name].append(cpu_seconds(command, folder))
    least = {name: min(values[1:]) for name, values in seconds.items()}
    for name, value in least.items():
        print(f"{name:40} {value:6.2f} s  {value / least[LIBRARIES]:5.2f}")


if __name__ == "__main__":
    main()
