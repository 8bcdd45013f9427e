"""What was typed: overrides by Hydra's own grammar, told apart into files chosen, keys set and Hydra's own keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from runner.config.files import Library
from runner.messages import did_you_mean, quoted
from runner.settings import Settings

OWNED = {
    "hydra.run": "every run makes a folder of its own below outputs/runs",
    "hydra.sweep": "every sweep makes a folder of its own below outputs/sweeps",
    "hydra.output_subdir": "Hydra's files of a run lie in its .hydra",
    "hydra.job.chdir": "paths are relative to where you start",
    "hydra.mode": "a sweep is started with -m",
    "hydra.searchpath": "files of yours belong into ./conf",
    "hydra.launcher": "each job is a process of its own, and sweep.jobs says how many run at once",
}
"""Hydra's keys that are the runner's to set, and what to know instead."""

SWEEPER = "hydra/sweeper"
"""The group of Hydra's sweepers."""


@dataclass(frozen=True)
class Typed:
    """Overrides told apart; `keys` are in the order they were typed."""

    choices: tuple[Override, ...]
    keys: tuple[Override, ...]
    hydra: tuple[Override, ...]


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
        if override.key_or_group:
            overrides.append(override)
        else:
            problems.append(f"{text!r} must begin with a key, key=value")
    return overrides, problems


def tell_apart(overrides: Sequence[Override], library: Library) -> Typed:
    """Which overrides choose files, which set keys, which are Hydra's own."""
    hydra = tuple(override for override in overrides if _is_hydra(override))
    choices = tuple(override for override in overrides if is_choice(override, library))
    keys = tuple(override for override in overrides if not _is_hydra(override) and not is_choice(override, library))
    return Typed(choices, keys, hydra)


def is_choice(override: Override, library: Library) -> bool:
    """Whether an override chooses a file of a group."""
    return override.key_or_group in library.groups


def is_of_sweeper(override: Override) -> bool:
    """Whether an override is for a sweeper of Hydra's."""
    return override.key_or_group == SWEEPER or override.key_or_group.startswith("hydra.sweeper")


def for_hydra(override: Override, library: Library) -> str:
    """An override as Hydra takes it without a judgement of its own.

    Hydra lets `key=value` change only what some file has, `+key=value` only what none has. Which keys there are is for
    the schema to say, so keys are forced (`++`); a group is added (`+`) where the defaults list has it not.
    """
    text = override.input_line or ""
    if override.is_delete() or _is_hydra(override):
        return text
    prefix = "++" if not is_choice(override, library) else "" if override.key_or_group in library.defaults else "+"
    return f"{prefix}{text.lstrip('+')}"


def refusal(override: Override, library: Library) -> str | None:
    """Why an override is refused whatever its value; None if it is not."""
    text, key = override.input_line or "", override.key_or_group
    if override.package is not None:
        return f"{text} must be written without @: a file of a group always sets the keys of that group"
    if _is_hydra(override):
        owned = [name for name in OWNED if f"{key.replace('/', '.')}.".startswith(f"{name}.")]
        return f"{key} must not be set: {OWNED[owned[0]]}" if owned else None
    known = [*Settings.model_fields, *library.groups]
    first = key.split(".")[0]
    return None if key in known or first in known else f"unknown key {first!r}{did_you_mean(first, known)}"


def bad_choice(override: Override, library: Library) -> str | None:
    """What is wrong with the choice of a file, as far as its name says; None if nothing is."""
    group, options = override.key_or_group, library.groups[override.key_or_group]
    if override.is_delete():
        return f"{group} must stay: choose one of {', '.join(options)}" if group in library.defaults else None
    value = override.value()
    named = value if isinstance(value, list) else [value]
    wrong = [name for name in named if not (isinstance(name, str) and name in options)]
    if not wrong:
        return None
    return f"{group} must be one of {', '.join(options)}, got {quoted(wrong[0])}{did_you_mean(wrong[0], options)}"


def sweeper_problem(overrides: Sequence[Override], library: Library) -> str | None:
    """What is wrong with the sweeper of Hydra's that is chosen, as far as its name says; None if nothing is."""
    options = library.loader.get_group_options(SWEEPER)
    for override in overrides:
        name = override.value() if override.key_or_group == SWEEPER else None
        if isinstance(name, str) and name not in options:
            mend = did_you_mean(name, options) or "; install the plugin that brings it"
            return f"{SWEEPER} must be one of {', '.join(options)}, got {name!r}{mend}"
    return None


def needs_sweep(override: Override) -> str:
    """What to say to several values where only one can be used."""
    text, key, value = override.input_line or "", override.get_key_element(), override.get_value_string()
    lines = f"{text} gives several values, which needs -m"
    if override.is_discrete_sweep() and "(" not in value:
        lines += f"; one list is written '{key}=[{value}]', one text with commas \"{key}='{value}'\""
    return lines


def _is_hydra(override: Override) -> bool:
    return override.key_or_group == "hydra" or override.is_hydra_override()


def _unreadable(text: str, error: HydraException) -> str:
    key, equals, _ = text.partition("=")
    if not equals:
        return f"{text!r} must be key=value, group=choice or a flag; see --help"
    lines = str(error).splitlines()
    told = [line for line in lines if not line.startswith(("Error parsing", "See http", " ", "LexerNoViableAlt"))]
    reason = f" ({told[0]})" if told else ""
    return (
        f"{text} cannot be read{reason}; check that brackets and quotes are closed, and put text with special "
        f"characters into quotes within quotes: \"{key}='…'\""
    )
