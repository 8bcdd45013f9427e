"""From what was typed to checked jobs, with every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from runner.config.check import Check
from runner.config.library import Library, open_library
from runner.config.overrides import for_hydra, needs_sweep, parse, refusal
from runner.errors import ConfigurationError
from runner.settings import Settings


@dataclass(frozen=True)
class Job:
    """One checked run; `overrides` as Hydra must be given them, `foreign_files` the user's own that took part."""

    settings: Settings
    overrides: tuple[str, ...]
    foreign_files: tuple[Path, ...] = ()

    @property
    def typed(self) -> tuple[str, ...]:
        """The overrides as a person types them, without the marks that are for Hydra."""
        return tuple(map(_typed, self.overrides))


@dataclass(frozen=True)
class Sweep:
    """Checked jobs, and the overrides that make Hydra run them in this order."""

    jobs: tuple[Job, ...]
    overrides: tuple[str, ...]


def compose(overrides: Sequence[str] = ()) -> Settings:
    """The settings `python -m runner` would run with these overrides, written as on its command line.

    Raises `ConfigurationError` with every problem there is.
    """
    return prepare(overrides).settings


def prepare(texts: Sequence[str]) -> Job:
    """The one job of these overrides, checked.

    Raises `ConfigurationError` with every problem there is.
    """
    with open_library() as library:
        overrides, problems = _readable(texts, library)
        several = [override for override in overrides if override.is_sweep_override()]
        single = [override for override in overrides if override not in several]
        check = Check(library, single).run()
        return _job(
            check, [for_hydra(override, library) for override in single], [*problems, *map(needs_sweep, several)]
        )


def prepare_sweep(texts: Sequence[str]) -> Sweep:
    """The jobs of these overrides, each of them checked before any is started.

    Raises `ConfigurationError` with every problem there is; one that only some jobs have names the first of them.
    """
    with open_library() as library:
        overrides, problems = _readable(texts, library)
        problems += [problem for override in overrides if (problem := _no_sweep(override))]
        forced = [for_hydra(override, library) for override in overrides if not _no_sweep(override)]
        expanded = _expand(forced, library)
        checks = [Check(library, parse(texts, library)[0]).run() for texts in expanded]
        _raise([*problems, *_common_problems(expanded, checks)])
        return Sweep(tuple(map(_job, checks, expanded)), tuple(forced))


def _job(check: Check, texts: Sequence[str], problems: Sequence[str] = ()) -> Job:
    _raise([*problems, *check.problems])
    if check.settings is None or check.composition is None:
        raise ConfigurationError("the configuration cannot be checked")
    return Job(check.settings, tuple(texts), check.composition.foreign_files)


def _readable(texts: Sequence[str], library: Library) -> tuple[list[Override], list[str]]:
    """The overrides to go on with, and what is wrong with the others."""
    overrides, problems = parse(texts, library)
    refused = {id(override): problem for override in overrides if (problem := refusal(override, library))}
    return [override for override in overrides if id(override) not in refused], [*problems, *refused.values()]


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigurationError(list(dict.fromkeys(problems)))


def _no_sweep(override: Override) -> str | None:
    if override.is_sweep_override() and override.is_hydra_override():
        return f"{override.input_line} must be one value: Hydra's own keys cannot be swept"
    if override.is_sweep_override() and not override.is_discrete_sweep():
        return f"{override.input_line} must list its values, as in {override.get_key_element()}=1,2,3"
    return None


def _typed(text: str) -> str:
    return text.lstrip("+")


def _expand(forced: Sequence[str], library: Library) -> list[tuple[str, ...]]:
    """The overrides of each job, in the words and in the order of Hydra's basic sweeper."""
    values: dict[str, list[str]] = {}
    for override in parse(forced, library)[0]:
        key = override.get_key_element()
        if override.is_sweep_override():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
    return list(product(*values.values()))


def _common_problems(jobs: Sequence[Sequence[str]], checks: Sequence[Check]) -> Iterator[str]:
    """Every problem once; of one that only some jobs have, the first of them."""
    having: dict[str, list[int]] = {}
    for number, check in enumerate(checks):
        for problem in dict.fromkeys(check.problems):
            having.setdefault(problem, []).append(number)
    for problem, numbers in having.items():
        more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
        where = f" (job {numbers[0]}{more}: {' '.join(map(_typed, jobs[numbers[0]]))})"
        yield problem if len(numbers) == len(checks) else problem + where


def defaults_of(texts: Sequence[str], library: Library) -> dict[str, Any]:
    """The values of the files that overrides choose, for `--help`: whatever is wrong with them is not told here."""
    overrides, _ = _readable(texts, library)
    check = Check(library, [override for override in overrides if not override.is_sweep_override()]).run()
    return {} if check.settings is None else check.settings.document()
