"""A job, started by Hydra in a folder that is made already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from runner.config.files import PRIMARY, VERSION_BASE, UserConf, alone, our_conf
from runner.config.jobs import Job

Work = Callable[[Job, Path], int]
"""Does a job in a folder and returns its exit code; nothing it is responsible for may leave it as an exception."""


def launch(job: Job, folder: Path, work: Work, *, again: bool = False) -> int:
    """Do the job within Hydra, which writes `.hydra` into the folder unless it did so before; the exit code."""
    codes: list[int] = []
    where = [f"hydra.run.dir={quoted(folder)}", *(["hydra.output_subdir=null"] if again else [])]
    stopped = _hydra([*job.overrides, *where], lambda _: codes.append(work(job, folder)))
    return codes[0] if codes else stopped


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
        with alone():
            main(task)()
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    finally:
        sys.argv = typed
    return 0


def quoted(folder: Path) -> str:
    """A folder as a value that Hydra reads back."""
    return QuotedString(str(folder), Quote.single).with_quotes()
