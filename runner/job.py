"""One job of a sweep, from its frozen configuration, in its own process: `python -m runner.job SWEEP NUMBER`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from runner.exit import guarded, leave, terminable
from runner.sweeps.sweep_plan import read_sweep

RESUME = "resume"
"""The word after the number that resumes the job in its folder."""

STDIN = 0


def main() -> int:
    """Run the job; the exit code."""
    code = execute(sys.argv[1:])
    leave(code)
    return code


def execute(words: Sequence[str]) -> int:
    """Run the job that these words name; the exit code."""
    _end_with_the_sweep()
    with terminable():
        return guarded(lambda: _do(Path(words[0]), int(words[1]), resume=RESUME in words[2:]))


def _do(sweep: Path, number: int, *, resume: bool) -> int:
    from runner.modes.together import Origin, is_together, run_together
    from runner.settings import Settings

    plan = read_sweep(sweep)
    job, folder = plan.jobs[number], plan.job_folder(number)
    settings = Settings.model_validate_json(json.dumps(plan.config(number, resume=resume)))
    origin = Origin(plan.argv, job.overrides, tuple(map(Path, job.foreign_files)))
    if is_together(settings):
        return run_together(settings, folder, origin)
    from runner.modes.run import run

    run(settings, folder=folder, origin=origin)
    return 0


def _end_with_the_sweep() -> None:
    """End as after SIGTERM, with the state saved, once the sweep's process is gone: it holds the other end of stdin."""

    def watch() -> None:
        os.read(STDIN, 1)  # not by the stream, whose lock would be held when the interpreter ends
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="sweep-watch", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
