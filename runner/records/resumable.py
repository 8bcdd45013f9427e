"""A run that can be gone on with, and what would make it another run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import read_config
from runner.records.provenance import git_state, versions
from runner.records.reading import read_run

TRAINING = ("run", "fit")
"""Modes that train."""

FREE = (
    "mode",
    "resume",
    "resume_inexact",
    "train.epochs",
    "train.checkpoint_every",
    "data.root",
    "data.path",
    "data.manifest",
    "data.partition",
    "data.labels",
    "data.validation_root",
    "data.test_root",
)
"""Keys that may differ: what the weights depend on stays the same. The data may be moved; its fingerprint tells."""

OF_THE_BATCHES = ("batch_size", "shuffle", "drop_remainder")
"""Keys of the loader that decide which batches there are; all others only decide how they are read."""


@dataclass(frozen=True)
class ResumableRun:
    """A run's folder, and what its config.yaml and run.json say."""

    folder: Path
    config: dict[str, Any]
    document: dict[str, Any]

    def differences(self, config: Mapping[str, Any], backend: str) -> Iterator[str]:
        """What would make it another run: keys of `config`, packages and code, each with both values."""
        before, now = (dict(_flat(document)) for document in (self.config, config))
        for key in dict.fromkeys((*before, *now)):
            if before.get(key) != now.get(key) and not _is_free(key):
                yield f"{key} is {now.get(key)}, and was {before.get(key)}"
        installed = versions(backend)
        for name, version in self.document["versions"].items():
            if name in installed and installed[name] != version:
                yield f"{name} {installed[name]} is installed, and was {version}"
        git = git_state()
        if git != self.document["git"]:
            yield f"the code is {_code(git)}, and was {_code(self.document['git'])}"


def read_resumable(folder: Path) -> ResumableRun:
    """The run in `folder`, whatever became of it.

    Raises `ConfigurationError` where `folder` is no run, one that did not train, or one that is still running.
    """
    config = read_config(folder, "resume")
    try:
        document = read_run(folder)
    except RunnerError as error:
        raise ConfigurationError(f"resume must be the folder of a run, got {folder}: {error}") from error
    if config.get("mode") not in TRAINING:
        raise ConfigurationError(f"resume must be a run that trains, got {folder}, of mode={config.get('mode')}")
    if document["status"] == "running":
        process = document["process"]
        raise ConfigurationError(
            f"resume must be a run that has ended, got {folder}, which is still running on {process['host']} as "
            f"process {process['pid']}; stop that first"
        )
    return ResumableRun(folder, config, document)


def _is_free(key: str) -> bool:
    group, _, name = key.partition(".")
    return (group == "loader" and name not in OF_THE_BATCHES) or any(f"{key}.".startswith(f"{free}.") for free in FREE)


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted key."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _code(git: Mapping[str, Any] | None) -> str:
    if git is None:
        return "in no repository"
    return f"at commit {git['commit'][:12]}{', changed' if git['dirty'] else ''}"
