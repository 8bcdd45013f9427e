"""What is typed after `python -m runner.runs` and `runner.report`: names, `key=value` words, and conditions on keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString, Transformer
from hydra.errors import HydraException

WORD = re.compile(r"(?P<key>[A-Za-z_][\w.]*)(?P<sign>!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """A key beside the values it is compared with: several where a list `a,b` or a range was typed."""

    key: str
    sign: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Words:
    """What was typed, told apart: words without a sign, those that are options of the command, and all others."""

    names: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()
    problems: tuple[str, ...] = ()
    """A line for each word that cannot be read."""


def read_words(texts: Sequence[str], options: Sequence[str]) -> Words:
    """`texts` told apart; a value is read by Hydra's grammar, as on the runner's own command line."""
    names: list[str] = []
    chosen: dict[str, Any] = {}
    asked: list[Asked] = []
    problems: list[str] = []
    for text in texts:
        match = WORD.fullmatch(text)
        if match is None:
            names.append(text)
            continue
        try:
            values = _values(match["value"])
        except HydraException:
            problems.append(f"{text} cannot be read; check that brackets and quotes are closed")
            continue
        if match["key"] in options:
            problems += _wrong_option(text, match["sign"], values)
            chosen[match["key"]] = values[0]
        else:
            problems += _wrong_condition(text, match["sign"], values)
            asked.append(Asked(match["key"], match["sign"], values))
    return Words(tuple(names), chosen, tuple(asked), tuple(problems))


def _values(text: str) -> tuple[Any, ...]:
    (override,) = OverridesParser.create().parse_overrides([f"value={text}"])
    if override.is_choice_sweep() or override.is_range_sweep():
        return tuple(map(_plain, override.sweep_iterator(transformer=Transformer.identity)))
    if override.is_sweep_override():
        raise HydraException("neither a list nor a range")
    return (_plain(override.value()),)


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, QuotedString) else value


def _wrong_option(text: str, sign: str, values: tuple[Any, ...]) -> list[str]:
    if sign == "=" and len(values) == 1:
        return []
    return [f"{text} must be one value after =; a list is written in brackets, [a,b]"]


def _wrong_condition(text: str, sign: str, values: tuple[Any, ...]) -> list[str]:
    if sign in ("=", "!=") or len(values) == 1:
        return []
    return [f"{text} must compare with one value: only = and != take several"]
