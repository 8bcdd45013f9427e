"""Words of the commands `runs` and `report`: names, options `key=value`, and conditions on keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WORD = re.compile(r"(?P<key>[A-Za-z_][\w.]*)(?P<sign>!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Comparison:
    """A key and the values it is compared with: several for a list `a,b` or a range."""

    key: str
    sign: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class CommandWords:
    """The words of a command: names, options of the command, and comparisons."""

    names: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    problems: tuple[str, ...] = ()
    """A line for each word that cannot be read."""


def read_words(texts: Sequence[str], options: Sequence[str]) -> CommandWords:
    """The words in `texts`; values are read by Hydra's grammar, as on the runner's own command line."""
    names: list[str] = []
    chosen: dict[str, Any] = {}
    comparisons: list[Comparison] = []
    problems: list[str] = []
    for text in texts:
        match = WORD.fullmatch(text)
        if match is None:
            names.append(text)
            continue
        values = _values(match["value"])
        if values is None:
            problems.append(f"{text} cannot be read; close all brackets and quotes")
            continue
        if match["key"] in options:
            problems += _wrong_option(text, match["sign"], values)
            chosen[match["key"]] = values[0]
        else:
            problems += _wrong_condition(text, match["sign"], values)
            comparisons.append(Comparison(match["key"], match["sign"], values))
    return CommandWords(tuple(names), chosen, tuple(comparisons), tuple(problems))


def _values(text: str) -> tuple[Any, ...] | None:
    """The values in a text; None if it cannot be read, or is neither a list nor a range."""
    # Imported here: a command without such a word starts in half the time.
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import QuotedString, Transformer
    from hydra.errors import HydraException

    def plain(value: Any) -> Any:
        return value.text if isinstance(value, QuotedString) else value

    try:
        (override,) = OverridesParser.create().parse_overrides([f"value={text}"])
        if override.is_choice_sweep() or override.is_range_sweep():
            return tuple(map(plain, override.sweep_iterator(transformer=Transformer.identity)))
        return None if override.is_sweep_override() else (plain(override.value()),)
    except HydraException:
        return None


def _wrong_option(text: str, sign: str, values: tuple[Any, ...]) -> list[str]:
    if sign == "=" and len(values) == 1:
        return []
    return [f"{text} must have one value after =; write a list in brackets, [a,b]"]


def _wrong_condition(text: str, sign: str, values: tuple[Any, ...]) -> list[str]:
    if sign in ("=", "!=") or len(values) == 1:
        return []
    return [f"{text} must compare with one value; only = and != accept several"]
