"""Times an epoch of photographs through every contender, alternately, each in a process of its own.

    python benchmarks/epoch.py [--images 600] [--rounds 3]

The first epoch is read to warm up, the second is timed. Prints a Markdown table: the median of the rounds and their
spread, the ratio to the runner's default, CPU time, and memory beyond what was held before the first batch.
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
from pathlib import Path

from contenders import CONTENDERS
from photographs import make_photographs


def time_epoch(name: str, root: Path) -> dict[str, float]:
    """Images per second, CPU milliseconds per image and peak megabytes of one contender's second epoch."""
    epochs = CONTENDERS[name](root)
    sum(1 for _ in epochs(0))
    cpu, began = _cpu_seconds(), time.perf_counter()
    images = sum(len(batch.x if hasattr(batch, "x") else batch[0]) for batch in epochs(1))
    seconds = time.perf_counter() - began
    return {
        "images_per_second": images / seconds,
        "cpu_ms": (_cpu_seconds() - cpu) / images * 1000,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(name: str, root: Path) -> dict[str, float]:
    """The figures of one contender, from a fresh process."""
    command = [sys.executable, __file__, "--only", name, "--data", str(root)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        sys.exit(f"{name} failed:\n{result.stderr}")
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


def table(rounds: list[dict[str, dict[str, float]]]) -> str:
    """The rounds as a Markdown table, in the contenders' order."""
    lines = ["| | images/s | spread | ratio | CPU ms/image | peak MB |", "|---|---|---|---|---|---|"]
    medians = {name: statistics.median(one[name]["images_per_second"] for one in rounds) for name in rounds[0]}
    reference = next(iter(medians.values()))
    for name, median in medians.items():
        speeds = [one[name]["images_per_second"] for one in rounds]
        cpu = statistics.median(one[name]["cpu_ms"] for one in rounds)
        peak = statistics.median(one[name]["peak_mb"] for one in rounds)
        lines.append(
            f"| {name} | {median:,.0f} | {min(speeds):,.0f}–{max(speeds):,.0f} "
            f"| {reference / median:.2f}× | {cpu:.2f} | {peak:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run one contender, or all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600, help="photographs to read")
    parser.add_argument("--rounds", type=int, default=3, help="times each contender is measured")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "keras-runner-photographs")
    parser.add_argument("--only", choices=CONTENDERS, help="measure one contender here, and print JSON")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(time_epoch(arguments.only, arguments.data)), flush=True)
        os._exit(0)  # no contender's threads keep the figures waiting
    make_photographs(arguments.data, arguments.images // 2)
    rounds = []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        rounds.append({name: measure(name, arguments.data) for name in CONTENDERS})
    print(table(rounds))


if __name__ == "__main__":
    main()
