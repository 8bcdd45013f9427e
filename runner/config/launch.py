"""Hydra as an application: it writes the `.hydra/` of a run, and answers flags of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig

from runner.config.config_file import PRIMARY, our_conf
from runner.config.files import VERSION_BASE, without_hydra
from runner.config.jobs import Job
from runner.config.user_source import offer_user_files
from runner.errors import RunnerError
from runner.records.secret_keys import mask_files, secret_values


def write_hydra_files(job: Job, folder: Path, *, again: bool = False) -> dict[str, str]:
    """Let Hydra write `.hydra` into the folder of a job, unless it did so before (`again`).

    Returns the environment variables that `hydra.job.env_set` names. Raises `RunnerError` where Hydra refuses; it has
    printed why.
    """
    variables: dict[str, str] = {}
    where = [f"hydra.run.dir={quoted(folder)}", *(["hydra.output_subdir=null"] if again else [])]
    if _hydra([*job.overrides, *where], lambda _: variables.update(HydraConfig.get().job.env_set)):
        raise RunnerError(f"Hydra must write the files of {folder}, but it stopped; see its message above")
    if secrets := list(secret_values(job.settings.document())):
        mask_files((folder / ".hydra").glob("*.yaml"), secrets)
    return variables


def hydra_itself(arguments: Sequence[str]) -> int:
    """Let Hydra answer flags of its own: `--info`, `--hydra-help`, `--shell-completion`; the exit code."""
    offer_user_files()
    return _hydra(arguments, lambda _: None)


def _hydra(arguments: Sequence[str], task: Callable[[DictConfig], Any]) -> int:
    """Run a task under `@hydra.main`, which reads `sys.argv` and calls `sys.exit` if it fails; the exit code."""
    main = hydra.main(config_path=str(our_conf()), config_name=PRIMARY, version_base=VERSION_BASE)
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        with without_hydra():
            main(task)()
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    finally:
        sys.argv = before
    return 0


def quoted(folder: Path) -> str:
    """A folder as a value that Hydra reads back."""
    return QuotedString(str(folder), Quote.single).with_quotes()
