"""The run that `rerun` does once more.

A run that can be gone on with, and what would make it another run.

A run that left a model, as later runs use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.data.labels import Head, read_heads
from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import read_config
from runner.records.diff import changed_code, changed_keys, changed_packages
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.metrics import read_metrics
from runner.records.provenance import git_state, versions
from runner.records.run_folder import read_run


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


MODELS = (f"{CHECKPOINTS}/best.keras", MODEL)
"""The model files of a run, the one to use first."""


@dataclass(frozen=True)
class TrainedRun:
    """A run's folder, what its config.yaml and run.json say, and the model file to use, relative to the folder."""

    folder: Path
    config: dict[str, Any]
    document: dict[str, Any]
    model: str

    @property
    def model_file(self) -> Path:
        """The model file to use."""
        return self.folder / self.model

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the model predicts: classes in the order of its codes."""
        return read_heads(self.document["data"]["heads"])


def read_trained(folder: Path) -> TrainedRun:
    """The run in `folder`, whatever became of it as long as there is a model; reads no model.

    Raises `ConfigurationError` where `folder` is no run, or one without a model.
    """
    config = read_config(folder, "from_run")
    try:
        document = read_run(folder)
    except RunnerError as error:
        raise ConfigurationError(f"from_run must be the folder of a run, got {folder}: {error}") from error
    model = next((name for name in MODELS if (folder / name).is_file()), None)
    if model is None or "heads" not in document["data"]:
        raise ConfigurationError(_no_model(folder, document))
    return TrainedRun(folder, config, document, model)


def newest_training(outputs: Path) -> Path | None:
    """The newest run that trained, or was to: a run that used a model, or only read data, is passed over.

    The link `latest` goes first; folders of runs are named by their time.
    """
    runs = outputs / "runs"
    older = sorted(runs.iterdir(), reverse=True) if runs.is_dir() else []
    return next((folder.resolve() for folder in (outputs / "latest", *older) if _trains(folder)), None)


def _trains(folder: Path) -> bool:
    try:
        return read_config(folder, "from_run").get("mode") in TRAINING
    except ConfigurationError:
        return False


def _no_model(folder: Path, document: dict[str, Any]) -> str:
    """What is said of a run without a model, and which run to give in its place."""
    used, stage = document.get("from_run") or {}, document.get("stage")
    during = f" during {stage}" if stage else ""
    mend = f"give from_run={used['path']}, whose model it used" if "path" in used else "give a run that was trained"
    return (
        f"from_run must be a run with a model, got {folder} ({document['status']}{during}), which has neither "
        f"{' nor '.join(MODELS)}; {mend}"
    )
