"""The run that `rerun` does once more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import read_config
from runner.records.metrics import read_metrics
from runner.records.reading import read_run


@dataclass(frozen=True)
class FirstRun:
    """A run's folder, the configuration it came to its end with, and what run.json says."""

    folder: Path
    config: dict[str, Any]
    document: dict[str, Any]


def read_first_run(folder: Path) -> FirstRun:
    """The run in `folder`, whatever became of it.

    Raises `ConfigurationError` where `folder` is no run.
    """
    config = read_config(folder, "rerun")
    try:
        document = read_run(folder)
    except RunnerError as error:
        raise ConfigurationError(f"rerun must be the folder of a run, got {folder}: {error}") from error
    # Each `resume` may have asked for more epochs than the run began with.
    epochs = [again["epochs"] for again in document.get("resumed", []) if "epochs" in again]
    if epochs:
        config = {**config, "train": {**config["train"], "epochs": epochs[-1]}}
    return FirstRun(folder, config, document)


def read_comparable(folder: Path) -> FirstRun:
    """As `read_first_run`; raises `ConfigurationError` where that run has left nothing to compare with, or not yet."""
    first = read_first_run(folder)
    status = first.document["status"]
    if status == "running":
        raise ConfigurationError(f"verify must compare with a run that has ended, got {folder}, which is still running")
    if not read_metrics(folder) and not first.document.get("results"):
        raise ConfigurationError(
            f"verify must compare with a run that came to the end of an epoch, got {folder} ({status}); "
            "leave verify out"
        )
    return first
