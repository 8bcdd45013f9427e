"""A run that can be gone on with, and what would make it another run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import read_config
from runner.records.diff import changed_code, changed_keys, changed_packages
from runner.records.provenance import git_state, versions
from runner.records.reading import read_run

TRAINING = ("run", "fit")
"""Modes that train."""

FREE = (
    "mode",
    "resume",
    "resume_inexact",
    "rerun",
    "verify",
    "bench",
    "tracker",
    "train.epochs",
    "train.checkpoint_every",
    "data.max_bad",
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

    @property
    def repeats(self) -> Path | None:
        """The run that it does once more (`rerun`), if it does."""
        folder = self.config.get("rerun")
        return None if folder is None else Path(folder)

    def differences(self, config: Mapping[str, Any], backend: str) -> Iterator[str]:
        """What would make it another run: keys of `config`, packages and code, each with both values."""
        for key, difference in changed_keys(self.config, config):
            if not (_is_free(key) or (key == "data.on_bad" and self._has_met_no_bad_sample)):
                yield difference
        installed, before = versions(backend), self.document["versions"]
        yield from changed_packages({name: version for name, version in before.items() if name in installed}, installed)
        yield from changed_code(self.document["git"], git_state())

    @property
    def _has_met_no_bad_sample(self) -> bool:
        """Whether every sample so far could be read: then it was all the same what to do about others."""
        return self.config["data"].get("on_bad", "raise") == "raise" and not self.document["data"].get("bad_samples")


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
