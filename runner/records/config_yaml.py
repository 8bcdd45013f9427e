"""config.yaml: the resolved configuration of a run, from which `resume`, `rerun` and `from_run` start."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from runner.errors import ConfigurationError
from runner.messages import format_bytes
from runner.records.files import write_atomically

CONFIG_YAML = "config.yaml"
# libyaml, where PyYAML was built with it, reads a configuration in a tenth of the time.
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FORMER_DATA = {"stratify": False}
"""What versions did that had no such key of `data`; the default is another."""

EXPONENT = re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+$")


class _Dumper(yaml.SafeDumper):
    """Quotes text such as ``1e5``, which is text in YAML 1.1 and a number in OmegaConf."""

    def ignore_aliases(self, data: object) -> bool:
        """Write a repeated value in full each time: anchors are hard to read and to edit."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Outside double quotes PyYAML turns a NEL, and other unusual line ends, into a space.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+.0123456789"))
_Dumper.add_representer(str, _text)


def write_config(folder: Path, document: dict[str, Any]) -> None:
    """Write `document`, plain values only (pydantic's JSON mode), to `folder`/config.yaml.

    It reads back equal with PyYAML's ``safe_load`` and with OmegaConf.
    """
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    write_atomically(folder / CONFIG_YAML, text)


MOST_BYTES = 10_000_000
"""The largest config.yaml to read."""
MOST_VALUES = 100_000
"""The most keys and values in it; each class name of a list is one."""
MOST_DEPTH = 30
"""The deepest nesting; the configuration itself has 4 levels, and arguments of the user's own code some more."""


def read_config(folder: Path, key: str) -> dict[str, Any]:
    """The configuration of the run in `folder`, which `key` names.

    Keys that its version did not have get the values of `with_former_values`.

    The file may come from anyone, so nothing in it is expanded. Raises `ConfigurationError` if `folder` is not the
    folder of a run, or if the file holds anything but a bounded number of plain values.
    """
    file = folder / CONFIG_YAML
    try:
        config = _plain_yaml(file)
    except FileNotFoundError as error:
        jobs = f"; give one of its jobs, {key}={folder / '0'}" if (folder / "0").is_dir() else ""
        mend = jobs or f"; give a folder of outputs/runs, or {key}=latest"
        raise ConfigurationError(
            f"{key} must be the folder of a run, got {folder}, which has no {CONFIG_YAML}{mend}"
        ) from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{key}={folder}: {file} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ConfigurationError(f"{key}={folder}: {file} must be a mapping")
    return with_former_values(config)


def with_former_values(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run, where keys that its version did not have say what that version did.

    >>> with_former_values({"data": {"kind": "digits"}})
    {'data': {'kind': 'digits', 'stratify': False}}
    """
    former = former_values(config)
    return {**config, "data": {**config["data"], **former}} if former else config


def former_values(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of `data` that the version of a configuration did not have, with what it did."""
    data = config.get("data")
    if not isinstance(data, dict) or data.get("kind") == "none":
        return {}
    return {key: value for key, value in FORMER_DATA.items() if key not in data}


def _plain_yaml(file: Path) -> Any:
    """The values of a YAML file. Raises `ValueError` for what the runner never writes: anchors, dates, deep nesting."""
    if (size := file.stat().st_size) > MOST_BYTES:
        raise ValueError(f"it has {format_bytes(size)}, at most {format_bytes(MOST_BYTES)} are read")
    text = file.read_text(encoding="utf-8-sig")
    if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, LOADER)):
        raise ValueError("it refers to anchors (*NAME), which are not expanded; write the values in full")
    config = yaml.load(text, LOADER)
    level, count = [config], 0
    for _ in range(MOST_DEPTH):
        inner = [list(_inner(value)) for value in level]
        level = [value for values in inner for value in values]
        count += len(level)
        if count > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES:,} values")
        if not level:
            return config
    raise ValueError(f"it is nested more than {MOST_DEPTH} levels deep")


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value, *value.values())
    if isinstance(value, list):
        return value
    if value is None or isinstance(value, bool | int | float | str):
        return ()
    raise ValueError(f"it holds a value of type {type(value).__name__}, which no configuration has")
