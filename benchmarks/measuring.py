"""Times ways to load the same data, alternately, each in a process of its own, and prints a table.

The first epoch warms up; the next ones are timed, for at least three seconds. A table holds the medians of the
rounds and their spread, ratios to its first row, CPU time, and peak memory, the framework's own included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Epochs = Callable[[int], Iterable[Any]]
"""Gives the batches of an epoch."""

Contenders = Mapping[str, Callable[[Path], Epochs]]
"""Functions of the data's folder, by what they are called in the table."""

TIMED_SECONDS = 3.0


def compare(
    contenders: Contenders, make: Callable[[Path, int], None], *, samples: int, about: str, peers: Sequence[str] = ()
) -> Path:
    """Run one contender, or all of them in turn, over the data that `make` writes to a folder named after it.

    `peers` run in interpreters of their own, which the command line names; those without one are left out.
    Returns the folder of the data.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=samples, help="files to read")
    parser.add_argument("--rounds", type=int, default=3, help="times each contender is measured")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / f"keras-runner-{make.__name__}")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="a peer's interpreter")
    parser.add_argument("--only", choices=contenders, help="measure one contender here, and print JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(_time(contenders[arguments.only](arguments.data))), flush=True)
        os._exit(0)  # no contender's threads keep the figures waiting
    make(arguments.data, arguments.samples)
    interpreters = dict(text.split("=", 1) for text in arguments.python)
    contenders = {name: made for name, made in contenders.items() if name not in peers or name in interpreters}
    rounds = []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        rounds.append({name: _measure(name, arguments.data, interpreters.get(name)) for name in contenders})
    print(_table(rounds))
    return arguments.data


def _time(epochs: Epochs) -> dict[str, float]:
    """Samples per second, CPU milliseconds per sample and peak megabytes of one contender, once warm."""
    _count(epochs(0))
    samples, epoch, cpu, began = 0, 0, _cpu_seconds(), time.perf_counter()
    while (seconds := time.perf_counter() - began) < TIMED_SECONDS:
        epoch += 1
        samples += _count(epochs(epoch))
    return {
        "samples_per_second": samples / seconds,
        "cpu_ms": (_cpu_seconds() - cpu) / samples * 1000,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _count(batches: Iterable[Any]) -> int:
    return sum(len(batch.x if hasattr(batch, "x") else batch[0]) for batch in batches)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _measure(name: str, root: Path, interpreter: str | None) -> dict[str, float]:
    """The figures of one contender, from a fresh process."""
    command = [interpreter or sys.executable, sys.argv[0], "--only", name, "--data", str(root)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        sys.exit(f"{name} failed:\n{result.stderr}")
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


def _table(rounds: list[dict[str, dict[str, float]]]) -> str:
    """The rounds as a Markdown table, in the contenders' order."""
    lines = ["| | samples/s | spread | ratio | CPU ms/sample | peak MB |", "|---|---|---|---|---|---|"]
    reference = statistics.median(next(iter(one.values()))["samples_per_second"] for one in rounds)
    for name in rounds[0]:
        speeds = [one[name]["samples_per_second"] for one in rounds]
        cpu = statistics.median(one[name]["cpu_ms"] for one in rounds)
        peak = statistics.median(one[name]["peak_mb"] for one in rounds)
        lines.append(
            f"| {name} | {statistics.median(speeds):,.0f} | {min(speeds):,.0f}–{max(speeds):,.0f} "
            f"| {statistics.median(speeds) / reference:.2f} | {cpu:.3f} | {peak:,.0f} |"
        )
    return "\n".join(lines)
