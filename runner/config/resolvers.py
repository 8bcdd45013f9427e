"""The interpolation `${json:FILE,KEY}`: a part of a JSON file as a value of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.data.npy import read_json_object
from runner.errors import ConfigurationError, DataError
from runner.messages import first_few


def register() -> None:
    """Register the interpolation; repeating it is harmless."""
    OmegaConf.register_new_resolver("json", part_of_json, replace=True)


def part_of_json(file: str, *keys: str | int) -> Any:
    """The value in `file`, relative to the working directory, under `keys`, the outermost first.

    Raises `ConfigurationError` if the file cannot be read or lacks the key.
    """
    try:
        value: Any = read_json_object(Path(file))
    except DataError as error:
        raise ConfigurationError(str(error)) from error
    for depth, key in enumerate(map(str, keys)):
        if not isinstance(value, dict) or key not in value:
            where = "".join(f"{name}." for name in keys[:depth])
            got = first_few(value) if isinstance(value, dict) else f"no object at {where.rstrip('.')}"
            raise ConfigurationError(f"{file} must have the key {where}{key}, got {got}")
        value = value[key]
    return value
