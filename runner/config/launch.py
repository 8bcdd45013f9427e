"""Hydra as an application: it writes the `.hydra/` of a run, and answers flags of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString

from runner.choices import our_conf
from runner.config.config_file import PRIMARY, describe
from runner.config.files import COMPOSITION_ERRORS, VERSION_BASE, open_hydra, without_hydra
from runner.config.jobs import Job
from runner.config.user_source import offer_user_files
from runner.errors import RunnerError
from runner.records.secret_keys import mask_files, secret_values


def write_hydra_files(job: Job, folder: Path, *, again: bool = False) -> dict[str, str]:
    """Let Hydra write `.hydra` into the folder of a job, unless it did so before (`again`).

    Returns the environment variables that `hydra.job.env_set` names. Raises `RunnerError` where Hydra refuses.
    """
    variables: dict[str, str] = {}
    where = [f"hydra.run.dir={quoted(folder)}", *(["hydra.output_subdir=null"] if again else []), "hydra.mode=RUN"]
    try:
        # `hydra.main` would compose twice, the first time only to find out the mode.
        with open_hydra() as opened:
            opened.run(PRIMARY, lambda _: variables.update(HydraConfig.get().job.env_set), [*job.overrides, *where])
    except COMPOSITION_ERRORS as error:
        raise RunnerError(f"Hydra must write the files of {folder}, but it stopped: {describe(error)}") from error
    if secrets := list(secret_values(job.settings.document())):
        mask_files((folder / ".hydra").glob("*.yaml"), secrets)
    return variables


def hydra_itself(arguments: Sequence[str]) -> int:
    """Let Hydra answer flags of its own: `--info`, `--hydra-help`, `--shell-completion`; the exit code."""
    offer_user_files()
    main = hydra.main(config_path=str(our_conf()), config_name=PRIMARY, version_base=VERSION_BASE)
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        with without_hydra():
            main(lambda _: None)()
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    finally:
        sys.argv = before
    return 0


def quoted(folder: Path) -> str:
    """A folder as a value that Hydra reads back."""
    return QuotedString(str(folder), Quote.single).with_quotes()
