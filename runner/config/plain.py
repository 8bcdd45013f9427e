"""A composed configuration as plain values, with a problem for each value that is not there."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config.validation import Problem

MISSING = object()


def to_plain(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """The values with interpolations resolved; keys that are `???` or cannot be resolved are left out and told."""
    problems: list[Problem] = []
    plain: dict[str, Any] = _plain(config, "", problems)
    return plain, problems


def _plain(node: DictConfig | ListConfig, prefix: str, problems: list[Problem]) -> Any:
    names: list[Any] = list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))
    values = {str(name): _value(node, name, f"{prefix}{name}", problems) for name in names}
    there = {name: value for name, value in values.items() if value is not MISSING}
    return there if isinstance(node, DictConfig) else list(there.values())


def _value(node: Any, name: Any, key: str, problems: list[Problem]) -> Any:
    if OmegaConf.is_missing(node, name):
        problems.append(Problem(key, f"{key} must be given: {key}=…"))
        return MISSING
    try:
        value = node[name]
    except OmegaConfBaseException as error:
        text = OmegaConf.to_container(node, resolve=False)[name]  # type: ignore[index]
        problems.append(Problem(key, f"{key} must be a value that can be found, got {text!r}: {_reason(error)}"))
        return MISSING
    return _plain(value, f"{key}.", problems) if OmegaConf.is_config(value) else value


def _reason(error: Exception) -> str:
    """What a resolver says, without OmegaConf's words around it; else the first line of OmegaConf's own."""
    return str(error).partition("\n")[0].rpartition(" raised while resolving interpolation: ")[2]
