"""What the live page and system.csv cost a training: its CPU time with and without them, and that of their threads.

python benchmarks/pages.py [--epochs 60] [--rounds 6]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def train(epochs: int, *, observed: bool) -> dict[str, float]:
    """Train on the digits in this process; its CPU seconds, the time of `fit`, and the CPU seconds of both threads."""
    import runner.__main__
    from runner.modes.sampler import Sampler
    from runner.reports.live_page import LivePage

    seconds = dict.fromkeys(("page", "system"), 0.0)

    def timed(name: str, act: Callable[[Any], None]) -> Callable[[Any], None]:
        def run(owner: Any) -> None:
            began = time.thread_time()
            act(owner)
            seconds[name] += time.thread_time() - began

        return run

    LivePage._run = timed("page", LivePage._run if observed else lambda page: None)  # type: ignore[method-assign]
    Sampler._sample = timed("system", Sampler._sample if observed else lambda sampler: None)  # type: ignore[method-assign]
    runner.__main__.leave = lambda code: None  # type: ignore[attr-defined]
    sys.argv = ["runner", "mode=fit", f"train.epochs={epochs}", "train.monitor=loss"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
        runner.__main__.main()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    fit = json.loads(Path("outputs/latest/run.json").read_text())["seconds"]["fit"]
    return {"cpu": sum(each.ru_utime + each.ru_stime for each in used), "fit": fit, **seconds}


def in_process(epochs: int, *, observed: bool) -> dict[str, float]:
    """The same in a process of its own."""
    words = [sys.executable, __file__, "--epochs", str(epochs), "--child", str(int(observed))]
    done = subprocess.run(words, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return json.loads(done.stdout.splitlines()[-1])


def spread(values: list[float]) -> str:
    """The median of some values, with the smallest and the largest."""
    return f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    """Train in turn with and without, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        print(json.dumps(train(given.epochs, observed=bool(given.child))))
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        rounds = [
            (in_process(given.epochs, observed=True), in_process(given.epochs, observed=False))
            for _ in range(given.rounds)
        ]
    for name in ("page", "system"):
        print(f"{name:<8} {spread([one[name] / one['cpu'] for one, _ in rounds])} of the CPU time, by its thread")
    for name in ("cpu", "fit"):
        print(f"{name:<8} {spread([one[name] / other[name] for one, other in rounds])} of that without both")


if __name__ == "__main__":
    main()
