"""The command line, `python -m runner` or `keras-runner`: its flags, its subcommands, and what each of them does."""

# ruff: noqa: E402 - a Ctrl-C during the imports ends the command as a later one does
from __future__ import annotations

import os
import sys


def _report_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report an uncaught Ctrl-C in one line; everything else as Python does."""
    if issubclass(kind, KeyboardInterrupt):
        os.write(2, b"error: interrupted\n")
        os._exit(130)
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _report_interrupt

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from runner.errors import ConfigurationError
from runner.exit import guarded, leave, terminable
from runner.machine import no_garbage_collection
from runner.messages import lines_for

if TYPE_CHECKING:
    from types import TracebackType

    from runner.config.jobs import Job

SHARED_CONF = "KERAS_RUNNER_CONFIG_DIR"
"""The environment variable that `--config-dir` sets."""

SUBCOMMANDS = {"runs": "runner.runs.__main__", "report": "runner.report", "examples": "runner.examples"}
"""First words that are no override, and the module whose `main` gets the words after them."""

COMPLETION = re.compile("(install|uninstall)=(bash|zsh|fish)")
"""What Hydra's `--shell-completion` needs."""
QUERY = re.compile("query=(bash|zsh|fish)")
"""What the installed completion asks for, with the line in the environment variable COMP_LINE."""

YES: dict[str, Any] = {"action": "store_true"}
FLAGS: dict[tuple[str, ...], dict[str, Any]] = {
    ("-h", "--help"): YES | {"help": "print this page, or what it has about a word"},
    ("-m", "--multirun"): YES | {"help": "start a sweep: a run for each of several values"},
    ("-c", "--cfg"): {"choices": ["job"], "metavar": "job", "help": "print the configuration that would run"},
    ("--config-dir", "-cd"): {"metavar": "DIR", "help": "also take files of groups from DIR, after ./conf"},
    ("--schema",): {
        "nargs": "?",
        "const": "all",
        "choices": ["all", "experiment", "data", "loader", "model", "train", "tracker"],
        "metavar": "GROUP",
        "help": "print the JSON schema of all keys or of files",
    },
    ("--version",): YES | {"help": "print the version"},
    ("-i", "--info"): {
        "nargs": "?",
        "const": "all",
        "metavar": "TOPIC",
        "help": "print details from Hydra, such as searchpath",
    },
    ("--hydra-help",): YES | {"help": "print Hydra's own help"},
    ("-sc", "--shell-completion"): YES | {"help": "install=bash: complete keras-runner"},
}

REFUSED = {
    ("--config-path", "-cp"): "put your own files into ./conf",
    ("--config-name", "-cn"): "choose a file of each group instead, as in loader=generator",
    ("--experimental-rerun",): "rerun=RUN_DIR repeats a run",
    ("--package", "-p"): "--cfg job prints the whole configuration",
    ("--resolve",): "--cfg job is resolved already",
    ("--run", "-r"): "a run needs no flag",
}
"""Flags of Hydra's that would not work as promised here, and what to do instead."""


def main() -> int:
    """Do what the command line says; the exit code."""
    first, *rest = sys.argv[1:] or [""]
    code: int = import_module(SUBCOMMANDS[first]).main(rest) if first in SUBCOMMANDS else execute(sys.argv[1:])
    leave(code)
    return code


def execute(arguments: Sequence[str]) -> int:
    """Do what these arguments say; the exit code. Errors are printed here and raised nowhere."""
    return guarded(partial(_execute, arguments))


def _execute(arguments: Sequence[str]) -> int:
    flags = _parse(arguments)
    with _sharing(flags.config_dir):
        return _obey(flags, arguments)


@contextmanager
def _sharing(folder: str | None) -> Iterator[None]:
    """During the block, files of the user's are in this folder, too, for this process and for those that it starts."""
    before = os.environ.get(SHARED_CONF)
    if folder is not None:
        os.environ[SHARED_CONF] = folder
    try:
        yield
    finally:
        if before is not None:
            os.environ[SHARED_CONF] = before
        elif folder is not None:
            del os.environ[SHARED_CONF]


def _obey(flags: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Do what the flags and overrides say; the exit code."""
    if flags.info or flags.hydra_help or flags.shell_completion:
        from runner.config.launch import hydra_itself

        if flags.shell_completion and (query := QUERY.fullmatch(" ".join(flags.overrides))):
            from runner.config.completion import completions

            names = [name for names in FLAGS for name in names]
            found = completions(os.environ.get("COMP_LINE", ""), names)
            sys.stdout.write(("\n" if query[1] == "fish" else " ").join(found) + "\n")
            return 0
        if flags.shell_completion and not any(COMPLETION.fullmatch(word) for word in flags.overrides):
            got = " ".join(flags.overrides) or "nothing"
            raise ConfigurationError(
                f"--shell-completion must go with install=bash, install=zsh or install=fish, got {got}"
            )
        return hydra_itself(arguments)
    if flags.help or flags.version or flags.schema or flags.cfg:
        sys.stdout.write(_answer(flags))
        return 0
    with terminable():
        if flags.multirun:
            return _sweep(flags.overrides, arguments)
        job, folder = _begin(flags.overrides)
        from runner.modes.together import Origin, is_together, join, run_together

        if folder is None:
            return join(job.settings)[0]
        origin = Origin(arguments, job.plain_overrides, job.foreign_files)
        from runner.modes.stop import removed_if_refused

        with removed_if_refused(folder, is_new=job.settings.resume is None):
            if is_together(job.settings):
                return run_together(job.settings, folder, origin)
            from runner.modes.run import run

            run(job.settings, folder=folder, origin=origin)
        return 0


@no_garbage_collection()
def _answer(flags: argparse.Namespace) -> str:
    """The text that `--version`, `--help`, `--schema` or `--cfg job` prints."""
    if flags.version:
        return f"keras-runner {_version()}\n"
    if flags.help:
        from runner.config.help import help_text

        return help_text(flags.overrides, _parser().format_help())
    if flags.schema:
        from runner.config.file_schema import file_schema
        from runner.config.schema import json_schema

        schema = json_schema(described=True) if flags.schema == "all" else file_schema(flags.schema)
        return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    from omegaconf import OmegaConf

    from runner.config.jobs import prepare

    if flags.multirun:
        raise ConfigurationError("--cfg prints one configuration; leave out -m and lists of values")
    return OmegaConf.to_yaml(OmegaConf.create(prepare(flags.overrides).settings.document()))


@no_garbage_collection()
def _begin(overrides: Sequence[str]) -> tuple[Job, Path | None]:
    """The checked job, and its folder with the files that Hydra writes there; None if another host makes the folder."""
    from runner.config.jobs import prepare

    job = prepare(overrides)
    notes = [line for note in job.notes for line in lines_for(sys.stdout, f"note: {note}")]
    sys.stdout.write("".join(f"{line}\n" for line in notes))
    # Imported after the check: a configuration error is reported before the rest is loaded.
    from runner.config.launch import write_hydra_files
    from runner.distribute.launch import refuse_apart
    from runner.modes.given import refuse_other_script
    from runner.modes.resume import resumable
    from runner.records.folder import new_run_folder, outputs
    from runner.settings import READING, TRAINING

    if job.settings.mode not in READING:
        refuse_apart(job.settings.backend, hosts=job.settings.distribute.hosts)
    refuse_other_script(job.settings)
    resumed = resumable(job.settings)
    if job.settings.distribute.hosts > 1:
        from runner.modes.together import joins

        if joins(job.settings):
            return job, None
    if job.settings.mode in TRAINING and job.settings.model.fetches_weights:
        from runner.modes.initial_weights import fetch_weights

        fetch_weights(job.settings, resumed)
    folder = resumed.path if resumed else new_run_folder(outputs(job.settings.output_dir))
    os.environ.update(write_hydra_files(job, folder, again=resumed is not None))
    return job, folder


def _sweep(overrides: Sequence[str], arguments: Sequence[str]) -> int:
    with no_garbage_collection():
        from runner.commands.prepare_sweep import prepare_sweep

        sweep = prepare_sweep(overrides)
    from runner.commands.sweep import run_sweep

    return run_sweep(sweep, arguments)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; see --help")


class _Refuse(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> NoReturn:
        raise ConfigurationError(f"{option_string} is not supported: {self.const}")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    flags, unknown = _parser().parse_known_intermixed_args(arguments)
    if unknown:
        raise ConfigurationError([_unknown(flag) for flag in unknown])
    return flags


def _parser() -> _Parser:
    parser = _Parser(prog="python -m runner", usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False)
    parser.formatter_class = partial(argparse.HelpFormatter, max_help_position=32)
    parser.add_argument("overrides", nargs="*", help=argparse.SUPPRESS)
    group = parser.add_argument_group("flags")
    for names, options in FLAGS.items():
        group.add_argument(*names, **options)
    for names, fix in REFUSED.items():
        group.add_argument(*names, nargs="?", action=_Refuse, const=fix, help=argparse.SUPPRESS)
    return parser


def _unknown(flag: str) -> str:
    from runner.messages import did_you_mean

    known = [name for names in (*FLAGS, *REFUSED) for name in names if name.startswith("--")]
    name = flag.partition("=")[0]
    return f"unknown flag {flag}{did_you_mean(name, known) or _as_key(name) or '; see --help'}"


def _as_key(flag: str) -> str:
    """The end of a message about an unknown flag that has the name of a key; nothing if none has it."""
    from runner.config.schema import Schema

    suggestion = Schema().elsewhere(flag.lstrip("-").replace("-", "_"))
    return suggestion and f"; keys have no dashes{suggestion}"


def _version() -> str:
    try:
        return metadata.version("keras-runner")
    except metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
