"""Jobs, started by Hydra in folders that are made already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from runner.config.jobs import Job, Sweep
from runner.config.library import VERSION_BASE
from runner.config.places import PRIMARY, UserConf, our_conf

Work = Callable[[Job, Path], int]
"""Does a job in a folder and returns its exit code; nothing it is responsible for may leave it as an exception."""

FIRST_SIGNAL_CODE = 128
"""Exit codes from here on say that a signal ended the job: the jobs after it are not for running either."""


@dataclass(frozen=True)
class Outcome:
    """How one job of a sweep ended."""

    job: Job
    folder: Path
    exit_code: int


def launch(job: Job, folder: Path, work: Work, *, again: bool = False) -> int:
    """Do the job within Hydra, which writes `.hydra` into the folder unless it did so before; the exit code."""
    codes: list[int] = []
    where = [f"hydra.run.dir={_quoted(folder)}", *(["hydra.output_subdir=null"] if again else [])]
    stopped = _hydra([*job.overrides, *where], lambda _: codes.append(work(job, folder)))
    return codes[0] if codes else stopped


def launch_sweep(sweep: Sweep, folder: Path, work: Work) -> list[Outcome]:
    """Do the jobs one after the other, in folders named by their number; a job that fails stops no other."""
    outcomes: list[Outcome] = []
    jobs = {_task_overrides(job): job for job in sweep.jobs}

    def task(_: DictConfig) -> None:
        # Looked up by what the job is and not by its number: Hydra shuffles `shuffle(…)` anew.
        config = HydraConfig.get()
        job, job_folder = jobs[tuple(config.overrides.task)], folder / str(config.job.num)
        outcomes.append(Outcome(job, job_folder, work(job, job_folder)))
        if outcomes[-1].exit_code >= FIRST_SIGNAL_CODE:
            sys.exit(outcomes[-1].exit_code)

    literal = [f"hydra.sweep.dir={_quoted(folder)}", "hydra.sweep.subdir=${hydra.job.num}"]
    stopped = _hydra(["--multirun", *sweep.overrides, *literal], task)
    if stopped and not (outcomes and outcomes[-1].exit_code):
        raise RuntimeError(f"Hydra ended the sweep with {stopped} after {len(outcomes)} of {len(sweep.jobs)} jobs")
    return outcomes


def hydra_itself(arguments: Sequence[str]) -> int:
    """Let Hydra answer flags of its own: `--info`, `--hydra-help`, `--shell-completion`; the exit code."""
    Plugins.instance().register(UserConf)
    return _hydra(arguments, lambda _: None)


def _hydra(arguments: Sequence[str], task: Callable[[DictConfig], Any]) -> int:
    """Run a task under `@hydra.main`, which reads `sys.argv` and ends by `sys.exit` where it is not content."""
    main = hydra.main(config_path=str(our_conf()), config_name=PRIMARY, version_base=VERSION_BASE)
    typed = sys.argv
    sys.argv = [typed[0], *arguments]
    try:
        main(task)()
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    finally:
        sys.argv = typed
    return 0


def _task_overrides(job: Job) -> tuple[str, ...]:
    """The overrides of a job as Hydra lists them: its own keys stand elsewhere."""
    return tuple(text for text in job.overrides if not text.lstrip("+~").startswith(("hydra.", "hydra/")))


def _quoted(folder: Path) -> str:
    return QuotedString(str(folder), Quote.single).with_quotes()
