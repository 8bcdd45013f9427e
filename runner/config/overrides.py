"""Overrides, read by Hydra's own grammar: choices of files, keys with their values, and keys of Hydra's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, RangeSweep
from hydra.errors import HydraException

from runner.config.files import Library
from runner.config.schema import Schema
from runner.messages import did_you_mean, quoted
from runner.settings import Mode, Settings

OWNED = {
    "hydra.run": "each run makes a new folder in outputs/runs",
    "hydra.sweep": "each sweep makes a new folder in outputs/sweeps",
    "hydra.output_subdir": "Hydra's files of a run are in its .hydra folder",
    "hydra.job.chdir": "paths are relative to the folder where you start",
    "hydra.mode": "-m starts a sweep",
    "hydra.searchpath": "put your own files into ./conf, or give --config-dir DIR",
    "hydra.launcher": "each job runs in its own process, and sweep.jobs sets how many run at once",
}
"""Keys of Hydra's that only the runner sets, each with the reason."""

SWEEPER = "hydra/sweeper"
"""The group of Hydra's sweepers."""

RUN_KEYS = ("from_run", "resume", "rerun")
"""Keys that name an earlier run, whose configuration takes the place of the default files."""


SUBCOMMANDS = ("runs", "report", "examples", "--help")
"""What may stand in place of overrides, as the first word."""

BRACKET = re.compile(r"[][(){}'\"]")
UNREAD, CALLED = "cannot be read", "is read as a function of Hydra's"
QUOTES = "; a value with spaces needs quotes, and --help lists all keys"

ITEM = re.compile(r"(\w[\w.]*)\[\d+\]")
"""The beginning of a key that names an item of a list."""

CALL = re.compile(r"while evaluating '.*': (.+)")
"""The reason why a function such as `range` cannot take its arguments."""


@dataclass(frozen=True)
class Overrides:
    """Overrides by what they do: choose files, set keys, or set keys of Hydra's own; each kind in the order given."""

    choices: tuple[Override, ...]
    keys: tuple[Override, ...]
    hydra: tuple[Override, ...]


def run_name(override: Override) -> str | None:
    """The earlier run that an override names; None if it names none. A part of a name may look like a number."""
    if override.key_or_group not in RUN_KEYS or override.is_delete():
        return None
    value = override.value()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (override.input_line or "").partition("=")[2].strip()
    return value if isinstance(value, str) else None


def parse(texts: Sequence[str], library: Library) -> tuple[list[Override], list[str]]:
    """The overrides that can be read, and a problem for each that cannot."""
    parser = OverridesParser.create(library.loader)
    overrides, problems = [], []
    for text in texts:
        try:
            (override,) = parser.parse_overrides([text])
        except HydraException as error:
            problems.append(_unreadable(text, error))
            continue
        if not override.key_or_group:
            problems.append(f"{text!r} must begin with a key, key=value")
        elif problem := _without_values(override, library):
            problems.append(problem)
        else:
            overrides.append(override)
    return overrides, problems


def _without_values(override: Override, library: Library) -> str | None:
    """The problem with a range or pattern that stands for no value; None if there is none."""
    if not override.is_discrete_sweep():
        return None
    text = override.input_line
    value: object = override.value()
    if isinstance(value, RangeSweep) and value.step == 0:
        return f"{text} must have a step other than 0"
    if next(override.sweep_string_iterator(), None) is not None:
        return None
    fix = "range(1,4) is 1,2,3, and range(4,1,-1) is 4,3,2"
    if isinstance(value, Glob):
        options = library.groups.get(override.key_or_group, ())
        fix = f"its choices are {', '.join(options)}" if options else "glob is for groups of files, as loader=glob(*)"
    return f"{text} must hold at least one value, got none; {fix}"


def usable(texts: Sequence[str], library: Library) -> tuple[list[Override], list[str]]:
    """The overrides that can be read and are not refused, and the problems of the others."""
    overrides, problems = parse(texts, library)
    refused = {id(override): problem for override in overrides if (problem := refusal(override, library))}
    return [override for override in overrides if id(override) not in refused], [*problems, *refused.values()]


def by_kind(overrides: Sequence[Override], library: Library) -> Overrides:
    """The overrides, sorted by what they do."""
    hydra = tuple(override for override in overrides if _is_hydra(override))
    choices = tuple(override for override in overrides if is_choice(override, library))
    keys = tuple(override for override in overrides if not _is_hydra(override) and not is_choice(override, library))
    return Overrides(choices, keys, hydra)


def is_choice(override: Override, library: Library) -> bool:
    """Whether an override chooses a file of a group."""
    return override.key_or_group in library.groups


def is_of_sweeper(override: Override) -> bool:
    """Whether an override is for a sweeper of Hydra's."""
    return override.key_or_group == SWEEPER or override.key_or_group.startswith("hydra.sweeper")


def is_sweep_key(override: Override) -> bool:
    """Whether an override sets a key of the group `sweep`."""
    return override.key_or_group.split(".")[0] == "sweep"


def for_hydra(override: Override, library: Library) -> str:
    """An override in a form that Hydra accepts for any key.

    For Hydra, `key=value` changes only keys that some file has, and `+key=value` adds only keys that no file has. Here
    the schema decides which keys exist, so keys are forced (`++`). A group that the defaults list lacks is added (`+`).
    """
    text = override.input_line or ""
    if override.is_delete() or _is_hydra(override):
        return text
    prefix = "++" if not is_choice(override, library) else "" if override.key_or_group in library.defaults else "+"
    return f"{prefix}{text.lstrip('+')}"


def refusal(override: Override, library: Library) -> str | None:
    """The reason why an override is refused, whatever its value; None if it is not."""
    text, key = override.input_line or "", override.key_or_group
    if override.package is not None:
        return f"{text} must not contain @: a file of a group always sets the keys of that group"
    if _is_hydra(override):
        owned = [name for name in OWNED if f"{key.replace('/', '.')}.".startswith(f"{name}.")]
        return f"{key} must not be set: {OWNED[owned[0]]}" if owned else None
    known = [*Settings.model_fields, *library.groups]
    first = key.split(".")[0]
    if key in known or first in known:
        return None
    return f"unknown key {first!r}{did_you_mean(first, known) or Schema().elsewhere(first)}"


def bad_choice(override: Override, library: Library) -> str | None:
    """The problem with the name of a chosen file; None if there is none."""
    group, options = override.key_or_group, library.groups[override.key_or_group]
    if override.is_delete():
        return f"{group} must not be removed; choose one of {', '.join(options)}" if group in library.defaults else None
    value = override.value()
    named = value if isinstance(value, list) else [value]
    wrong = [name for name in named if not (isinstance(name, str) and name in options)]
    if not wrong:
        return None
    return f"{group} must be one of {', '.join(options)}, got {quoted(wrong[0])}{did_you_mean(wrong[0], options)}"


def sweeper_problem(overrides: Sequence[Override], library: Library) -> str | None:
    """The problem with the name of the chosen sweeper; None if there is none."""
    options = library.loader.get_group_options(SWEEPER)
    for override in overrides:
        name = override.value() if override.key_or_group == SWEEPER else None
        if isinstance(name, str) and name not in options:
            fix = did_you_mean(name, options) or "; install the plugin that provides it"
            return f"{SWEEPER} must be one of {', '.join(options)}, got {name!r}{fix}"
    return None


def needs_sweep(override: Override) -> str:
    """The problem with an override of several values in a single run."""
    text, key, value = override.input_line or "", override.get_key_element(), override.get_value_string()
    problem = f"{text} lists several values, which needs -m"
    if override.is_discrete_sweep() and "(" not in value:
        problem += f"; for one list write '{key}=[{value}]', for one text with commas \"{key}='{value}'\""
    return problem


def only_in_sweeps(override: Override) -> str:
    """The problem with a key of sweeps in a single run."""
    return f"{override.input_line} is for sweeps; add -m to start one, or leave it out"


def _is_hydra(override: Override) -> bool:
    return override.key_or_group == "hydra" or override.is_hydra_override()


def is_unread(key: str, problems: Sequence[str]) -> bool:
    """Whether a key was given, but its value cannot be read, which is one of the `problems`."""
    return any(problem.startswith(f"{key}=") and (UNREAD in problem or CALLED in problem) for problem in problems)


def _unreadable(text: str, error: HydraException) -> str:
    key, equals, value = text.partition("=")
    if not equals:
        mode = f"; did you mean 'mode={text}'?" if text in get_args(Mode) else did_you_mean(text, SUBCOMMANDS)
        return f"{text!r} must be key=value, group=choice or a flag{mode or QUOTES}"
    if item := ITEM.match(key):
        return f"{text} must not name an item of a list; give the whole list, {item[1]}=[…]"
    if (written := f"{key.strip()}={value.strip()}") != text and " " in (key[-1:], value[:1]):
        return f"{text} {UNREAD}; leave out the spaces around =: {written}"
    if value[:1] + value[-1:] == "()":
        return f"{text} {UNREAD}; a list has square brackets: '{key}=[{value[1:-1]}]'"
    lines = [line for line in str(error).splitlines() if " expecting {" not in line]
    reasons = [line for line in lines if not line.startswith(("Error parsing", "See http", " ", "LexerNoViableAlt"))]
    quotes = f"quotes within quotes: \"{key}='{'…' if BRACKET.search(value) else value}'\""
    if call := CALL.search(str(error)):
        return f"{text} {CALLED}, which fails: {call[1]}; put text with brackets into {quotes}"
    reason = f" ({reasons[0]})" if reasons else ""
    return f"{text} {UNREAD}{reason}; close all brackets and quotes, and put text with special characters into {quotes}"
