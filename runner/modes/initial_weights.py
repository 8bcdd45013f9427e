"""Initial weights of a network: fetched before data are read, recorded with a digest, left out by a resume."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from runner.data.dataset import NoData
from runner.errors import ConfigurationError
from runner.models.base import ModelSettings, Task
from runner.modes.context import RunContext
from runner.records.contents import file_digest
from runner.records.folder import CHECKPOINTS
from runner.records.run_folder import RunFolder
from runner.records.state import newest_step
from runner.settings import TRAINING, Settings
from runner.training.backend import require_backend, start_backend


def fetch_weights(config: Settings, resumed: RunFolder | None) -> None:
    """Let Keras download weights that are chosen by name, if a run will load them and they are not there.

    Where the configuration does not say how large images are, weights for images of one size are left to the building
    of the model. Raises `ConfigurationError` if they cannot be downloaded.
    """
    if config.mode not in TRAINING or not config.model.fetches_weights or config.distribute.world > 1:
        return
    size = None if isinstance(config.data, NoData) else config.data.augment.crop or _target_size(config.data)
    if resumed is not None and newest_step(resumed.path / CHECKPOINTS) is not None:
        return
    require_backend(config.backend)
    own = bool(config.extensions)
    start_backend(config.backend, seed=config.seed, deterministic=config.deterministic, user_code=own)
    config.model.fetch_weights(size)


def _target_size(data: Any) -> tuple[int, int] | None:
    """Height and width of an image; of a mix those of its first part."""
    part = next(iter(data.parts.values())) if hasattr(data, "parts") else data
    return getattr(part, "target_size", None)


def model_to_build(run: RunContext, task: Task, resumed: RunFolder | None, *, has_state: bool) -> ModelSettings:
    """The settings to build the model with: a state brings its own weights, so that no file is read for them.

    Reports and records the file of the initial weights. Raises `ConfigurationError` if a run that is resumed without a
    state began with another file.
    """
    settings = run.config.model
    if has_state:
        return settings.without_initial_weights()
    with run.exchange.in_turn() if settings.fetches_weights else nullcontext():  # Keras may have to download the file
        initial = settings.initial_weights(task)
    if initial is None or not initial.file.is_file():  # `build` says what is wrong with it
        return settings
    digest, before = file_digest(initial.file), _recorded(resumed)
    if before not in (None, digest) and not run.config.resume_inexact:
        raise ConfigurationError(
            f"exact resume is impossible: {initial.file} had other weights when the run began (digest {before}, now "
            f"{digest}); restore the file, or add resume_inexact=true"
        )
    run.terminal.summary([("weights", str(initial.file))])
    run.record.update(model={"weights": {"path": initial.file, "url": initial.url, "digest": digest}})
    return settings


def _recorded(resumed: RunFolder | None) -> str | None:
    """The digest of the file that a resumed run began with, if its record has one."""
    weights = {} if resumed is None else resumed.document.get("model", {}).get("weights", {})
    digest: str | None = weights.get("digest")
    return digest
