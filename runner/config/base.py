"""`from_run`: the configuration of an earlier run, in the place of the default files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from runner.config.library import Composition, ConfigFile
from runner.config.overrides import Typed
from runner.config.paths import why_missing
from runner.config.places import shown
from runner.errors import ConfigurationError
from runner.records.config_yaml import NAME as CONFIG_YAML
from runner.records.folder import OUTPUTS
from runner.records.trained import newest_training, read_trained
from runner.settings import Settings

KEY = "from_run"
LATEST = "latest"
OF_THE_MODEL = ("model", "train", "data.scale")
"""Keys that the model file has decided already."""
OF_ONE_RUN = (KEY, "split")
"""Keys that say what one run did, and nothing about another one that starts from it."""


def based(composition: Composition, typed: Typed) -> Composition:
    """What was composed, but by the run that `from_run` names: of the files, only those chosen by name count.

    The same composition where `from_run` is not given. Raises `ConfigurationError` where it names no run that left a
    model, and where something was typed that cannot go with it.
    """
    folder = _folder(typed.keys)
    if folder is None:
        return composition
    trained = read_trained(folder)
    problems = [problem for override in (*typed.choices, *typed.keys) if (problem := _conflict(override))]
    if problems:
        raise ConfigurationError(problems)
    chosen = [override.key_or_group.replace("/", ".") for override in typed.choices]
    base = {key: value for key, value in trained.config.items() if key not in OF_ONE_RUN}
    config = OmegaConf.create(base)
    for key in chosen:
        OmegaConf.update(config, key, OmegaConf.select(composition.config, key), merge=False, force_add=True)
    OmegaConf.update(config, KEY, str(folder), force_add=True)
    files = [file for file in composition.files if file.package in chosen]
    rest = {key: value for key, value in base.items() if key not in chosen}
    return Composition(config, (ConfigFile(folder / CONFIG_YAML, "", rest, (), foreign=False), *files))


def set_by_base(override: Override) -> bool:
    """Whether a typed key is one that `based` has set, resolved, by itself."""
    return override.key_or_group == KEY and isinstance(override.value(), str)


def _folder(keys: Sequence[Override]) -> Path | None:
    """The folder of the run, links followed: `latest` will be another one soon; None if none is named."""
    given = [override.value() for override in keys if override.key_or_group == KEY and not override.is_delete()]
    if not given or not isinstance(given[-1], str):
        return None
    if given[-1] != LATEST:
        path = Path(given[-1])
        if not path.is_dir():
            raise ConfigurationError(f"{KEY} must be an existing folder, got {path}{why_missing(path)}")
        return Path(shown(path.resolve()))
    newest = newest_training(OUTPUTS)
    if newest is None:
        raise ConfigurationError(
            f"{KEY}={LATEST} must find a run that trained, got none in {OUTPUTS / 'runs'}; "
            f"start one, or give {KEY}=RUN_DIR"
        )
    return Path(shown(newest))


def _conflict(override: Override) -> str | None:
    """Why an override cannot go with `from_run`."""
    key, text = override.key_or_group.replace("/", "."), override.input_line or ""
    if override.is_delete():
        return f"{text} must be written as {key}=VALUE: with {KEY} there is no file to remove a key from"
    if key.split(".")[0] not in Settings.model_fields:
        return f"{text} must not go with {KEY}: its file sets keys of several groups; give the keys themselves"
    decided = [name for name in OF_THE_MODEL if f"{key}.".startswith(f"{name}.")]
    return f"{text} must not go with {KEY}: the model is made, and is used as it is; leave it out" if decided else None
