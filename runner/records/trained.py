"""A run that left a model, as later runs use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.data.labels import Head, read_heads
from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import read_config
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.reading import read_run
from runner.records.resumable import TRAINING

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
