"""From the words after a command to its query, with every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.config.words import Words, read_words
from runner.errors import ConfigurationError
from runner.records.output import FORMATS, plain
from runner.runs.conditions import Condition
from runner.runs.query import Query

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "list": ("format", "root", "columns", "sort", "limit"),
    "show": ("format", "root"),
    "compare": ("format", "root", "sort", "limit"),
    "diff": ("format", "root"),
    "best": ("format", "root", "metric", "goal"),
    "clean": ("format", "root", "yes"),
}
TEXTS: Mapping[str, Callable[[str], Any]] = {"root": Path, "sort": str, "metric": str}
"""Options for which any text will do, and what becomes of it."""
ACCEPTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "format": (f"one of {', '.join(FORMATS)}", lambda value: value in FORMATS),
    "columns": ("a list of keys, [loader,val_loss]", lambda value: isinstance(value, list) and len(value) > 0),
    "limit": ("a whole number above 0", lambda value: type(value) is int and value > 0),
    "goal": ("max or min", lambda value: value in ("max", "min")),
    "yes": ("true or false", lambda value: isinstance(value, bool)),
}
"""The other options: what they must be."""
BY_NAME = {"show": 1, "diff": 2}
"""How many runs a command takes; the others take conditions."""


def read(command: str, texts: Sequence[str]) -> Query:
    """What `command` is asked by `texts`. Raises `ConfigurationError` for what cannot be meant."""
    words = read_words(texts, OPTIONS[command])
    problems = list(_problems(command, words))
    if problems:
        raise ConfigurationError(problems)
    conditions = tuple(Condition(asked.key, asked.sign, asked.values) for asked in words.asked)
    options = {name: TEXTS[name](str(value)) if name in TEXTS else value for name, value in words.options.items()}
    return Query(words.names, conditions, **options)


def _problems(command: str, words: Words) -> Iterator[str]:
    yield from words.problems
    for name, (expected, fits) in ACCEPTED.items():
        if name in words.options and not fits(words.options[name]):
            yield f"{name} must be {expected}, got {plain(words.options[name])}"
    elsewhere = {name for names in OPTIONS.values() for name in names}
    yield from (f"{asked.key} is no option of {command}" for asked in words.asked if asked.key in elsewhere)
    if command in BY_NAME:
        yield from (f"{command} takes no condition, got {asked.key}" for asked in words.asked)
        if len(words.names) != (count := BY_NAME[command]):
            yield f"name {count} {'run' if count == 1 else 'runs'}, got {len(words.names)}; see help"
    elif command != "compare":
        yield from (f"{name} must be KEY=VALUE or option=value: {command} takes no run" for name in words.names)
