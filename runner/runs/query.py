"""The query of a `runs` command: runs by name or by conditions such as `train.epochs>5`, their order, and options.

`read` makes a query from the words after the command, and reports every problem at once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Literal

from runner.config.words import CommandWords, read_words
from runner.errors import ConfigurationError
from runner.messages import did_you_mean, plural, yaml_text
from runner.records.dotted import flat
from runner.records.folder import outputs
from runner.records.output import FORMATS, Format, csv_text
from runner.records.run_folder import RunFolder, is_number
from runner.records.run_names import find_run
from runner.records.summary import summarized_runs

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A comparison of a run's key with one value, or with any of several for `=` and `!=`."""

    key: str
    sign: str
    values: tuple[Any, ...]

    def holds(self, run: RunFolder) -> bool:
        """Whether it holds for a run. Order is between two numbers or two texts, never a missing key.

        A list equals any of its values, a component its kind or the name of its file, as in `data=mine`.
        """
        value = run.value(self.key)
        if self.sign in ("=", "!="):
            found = [value, *(value if isinstance(value, list) else ()), run.choice(self.key)]
            return any(_are_equal(one, expected) for one in found for expected in self.values) == (self.sign == "=")
        bound = self.values[0]
        comparable = all(map(is_number, (value, bound))) or all(isinstance(each, str) for each in (value, bound))
        return comparable and ORDER[self.sign](value, bound)


def _are_equal(value: Any, expected: Any) -> bool:
    # True is not 1. A version such as 1.0, or a hash of digits only, is text in the record and a number when typed.
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    return bool(value == expected) or (isinstance(value, str) and value == str(expected))


@dataclass(frozen=True)
class Query:
    """Names of runs, conditions on runs, and the options of the command, which `HELP` explains."""

    names: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    root: Path = field(default_factory=outputs)
    format: Format = "table"
    columns: Sequence[str] | None = None
    sort: str | None = None
    limit: int | None = None
    metric: str | None = None
    goal: Literal["max", "min"] | None = None
    yes: bool = False
    takeover: bool = False

    def named(self) -> list[RunFolder]:
        """The runs given by name."""
        return [find_run(self.root, name) for name in self.names]

    def runs(self) -> list[RunFolder]:
        """The runs that match, sorted and limited.

        Raises `ConfigurationError` for a key that no run has.
        """
        candidates = self.named() or summarized_runs(self.root)
        self._refuse_unknown_keys(candidates)
        runs = [run for run in candidates if all(condition.holds(run) for condition in self.conditions)]
        limit = len(runs) if self.limit is None else self.limit
        return runs[max(0, len(runs) - limit) :] if self.sort is None else _sorted(runs, self.sort)[:limit]

    def _refuse_unknown_keys(self, runs: Sequence[RunFolder]) -> None:
        """Refuse keys that no run has: they are most likely misspelt."""
        keys = [condition.key for condition in self.conditions]
        keys += [key.removeprefix("-") for key in (self.sort, self.metric) if key is not None]
        keys += self.columns or ()
        missing = [key for key in dict.fromkeys(keys) if all(run.value(key) is None for run in runs)]
        known = {key for run in runs[-50:] for key in _keys(run.whole)} if missing else set()
        unknown = [key for key in missing if key not in known]
        if unknown and runs:
            raise ConfigurationError([f"no run has the key '{key}'{did_you_mean(key, known)}" for key in unknown])


def _sorted(runs: list[RunFolder], key: str) -> list[RunFolder]:
    """The runs by the value of a key: numbers, then text, then runs without a value or with one that is NaN."""
    name, descending = key.removeprefix("-"), key.startswith("-")
    valued = [(value, run) for run in runs if _has_order(value := run.value(name))]
    valued.sort(key=lambda pair: (not is_number(pair[0]), pair[0] if is_number(pair[0]) else 0, csv_text(pair[0])))
    ordered = [run for _, run in (reversed(valued) if descending else valued)]
    return ordered + [run for run in runs if not _has_order(run.value(name))]


def _has_order(value: Any) -> bool:
    # NaN is a number in metrics.csv, and text in run.json.
    return value is not None and value != "nan" and not (is_number(value) and isnan(value))


def _keys(run: RunFolder) -> Iterable[str]:
    """Every key of a run, including groups and sections."""
    yield "run"
    for document in (run.config, run.document, run.document.get("results") or {}):
        for key, _ in flat(document):
            parts = key.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    yield from run.metrics[0] if run.metrics else ()


OPTIONS: Mapping[str, tuple[str, ...]] = {
    "list": ("format", "root", "output_dir", "columns", "sort", "limit"),
    "show": ("format", "root", "output_dir"),
    "compare": ("format", "root", "output_dir", "sort", "limit"),
    "diff": ("format", "root", "output_dir"),
    "best": ("format", "root", "output_dir", "metric", "goal"),
    "clean": ("format", "root", "output_dir", "yes", "takeover"),
    "page": ("root", "output_dir"),
}
TEXTS: Mapping[str, Callable[[str], Any]] = {
    "root": lambda text: outputs(Path(text)),
    "output_dir": lambda text: outputs(Path(text)),
    "sort": str,
    "metric": str,
}
"""Options that take any text, and the conversion of each."""
ACCEPTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "format": (f"one of {', '.join(FORMATS)}", lambda value: value in FORMATS),
    "columns": ("a list of keys, [loader,val_loss]", lambda value: isinstance(value, list) and len(value) > 0),
    "limit": ("a whole number above 0", lambda value: type(value) is int and value > 0),
    "goal": ("max or min", lambda value: value in ("max", "min")),
    "yes": ("true or false", lambda value: isinstance(value, bool)),
    "takeover": ("true or false", lambda value: isinstance(value, bool)),
}
"""The other options: what they must be, and the check."""
BY_NAME = {"show": 1, "diff": 2, "page": 0}
"""The number of runs of commands that take names; `compare` takes both, all others take conditions."""


def read(command: str, texts: Sequence[str]) -> Query:
    """The query in the words after `command`. Raises `ConfigurationError` with every problem."""
    words = read_words(texts, OPTIONS[command])
    problems = list(_problems(command, words))
    if problems:
        raise ConfigurationError(problems)
    conditions = tuple(Condition(word.key, word.sign, word.values) for word in words.comparisons)
    options = {name: TEXTS[name](str(value)) if name in TEXTS else value for name, value in words.options.items()}
    root = options.pop("output_dir", None)
    return Query(words.names, conditions, **options, **({} if root is None else {"root": root}))


def _problems(command: str, words: CommandWords) -> Iterator[str]:
    yield from words.problems
    if {"root", "output_dir"} <= words.options.keys():
        yield "root and output_dir are the same; give only one of them"
    for name, (expected, fits) in ACCEPTED.items():
        if name in words.options and not fits(words.options[name]):
            yield f"{name} must be {expected}, got {yaml_text(words.options[name])}"
    elsewhere = {name for names in OPTIONS.values() for name in names}
    yield from (f"unknown option '{word.key}' of {command}" for word in words.comparisons if word.key in elsewhere)
    if command in BY_NAME:
        yield from (f"{command} takes no conditions, got {word.key}" for word in words.comparisons)
        if len(words.names) != (count := BY_NAME[command]):
            yield f"{command} takes {plural(count, 'run')}, got {len(words.names)}; see help"
    elif command != "compare":
        yield from (f"{name} must be KEY=VALUE or option=value: {command} takes no run" for name in words.names)
