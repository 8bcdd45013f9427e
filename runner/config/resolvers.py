"""Interpolations: `${json:FILE,KEY}`, a part of a JSON file as a value; and texts that must not be interpolated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.data.partition import read_json_object
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


INTERPOLATION, MARK = "${", "\ue000{"
"""What begins an interpolation, and what stands for it in a text that is none."""


def literal(value: Any) -> Any:
    """A copy of plain values in which OmegaConf finds no interpolation; `unmarked` gives each text back.

    The configuration of a run is resolved already, and may come from someone else: an interpolation in it would read
    the environment or files of whoever repeats the run.
    """
    if isinstance(value, dict):
        return {literal(key): literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    return value.replace(INTERPOLATION, MARK) if isinstance(value, str) else value


def unmarked(value: Any) -> Any:
    """A text as it was before `literal`; any other value as it is."""
    return value.replace(MARK, INTERPOLATION) if isinstance(value, str) else value
