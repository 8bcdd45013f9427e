"""From what was typed to checked jobs, with every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from runner.config.compose import EXTENSIONS, Check
from runner.config.expand import Searched, expand, pairing_problems, range_problems, searched
from runner.config.files import Library, open_library
from runner.config.overrides import (
    bad_choice,
    for_hydra,
    is_choice,
    is_of_sweeper,
    needs_sweep,
    parse,
    refusal,
    sweeper_problem,
)
from runner.errors import ConfigurationError
from runner.records.columns import goal_of_column
from runner.settings import Settings
from runner.sweeps.launchers import launcher_problem
from runner.sweeps.settings import SweepSettings

PAIRED = "sweep.paired"


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
    """Checked jobs in their order, and how they are to be run."""

    jobs: tuple[Job, ...]
    settings: SweepSettings
    varied: tuple[str, ...]
    """The keys that list several values, as they were typed."""

    searched: Searched | None = None
    """What is searched, in place of jobs."""

    extensions: tuple[str, ...] = ()
    """With `sweep.resume`, the modules that jobs may import: the earlier sweep listed them for itself alone."""

    for_sweeper: tuple[str, ...] = ()
    """What a sweeper of Hydra's makes jobs of, in place of jobs; as Hydra must be given it."""


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
        of_sweeps = [each for each in single if _is_of_the_sweep(each) or is_of_sweeper(each)]
        problems += [*map(needs_sweep, several), *map(_only_in_sweeps, of_sweeps)]
        return _job(check, [for_hydra(override, library) for override in single], problems)


def prepare_sweep(texts: Sequence[str]) -> Sweep:
    """The jobs of these overrides, each of them checked before any is started.

    Raises `ConfigurationError` with every problem there is; one that only some jobs have names the first of them.
    """
    with open_library() as library:
        readable, problems = _readable(texts, library)
        problems += [problem for override in readable if (problem := _no_sweep(override))]
        overrides = [override for override in readable if not _no_sweep(override)]
        ours = [override for override in overrides if _is_of_the_sweep(override)]
        settings, wrong = _sweep_settings(ours, library)
        wrong += [problem] if (problem := launcher_problem(settings)) else []
        if settings.resume is not None:
            return _resumed(overrides, settings, library, [*problems, *wrong])
        if any(map(is_of_sweeper, overrides)):
            return _by_sweeper([each for each in overrides if each not in ours], settings, library, [*problems, *wrong])
        if settings.search is not None:
            return _search([each for each in overrides if each not in ours], settings, library, [*problems, *wrong])
        ranges = [each for each in overrides if each.is_sweep_override() and not each.is_discrete_sweep()]
        problems += [] if wrong else map(_needs_search, ranges)
        overrides = [each for each in overrides if each not in ranges]
        forced, _ = parse([for_hydra(override, library) for override in overrides if override not in ours], library)
        wrong = [*wrong, *pairing_problems(forced, settings.paired)]
        expanded = expand(forced, () if wrong else settings.paired)
        varied = tuple(dict.fromkeys(each.key_or_group for each in forced if each.is_sweep_override()))
        return Sweep(check_jobs(expanded, library, [*problems, *wrong]), settings, varied)


def check_jobs(jobs: Sequence[Sequence[str]], library: Library, problems: Sequence[str] = ()) -> tuple[Job, ...]:
    """The jobs of these overrides, which are as Hydra must be given them.

    Raises `ConfigurationError` with every problem of every job, and those there are `problems` of already.
    """
    checks = [Check(library, parse(job, library)[0]).run() for job in jobs]
    _raise([*problems, *_common_problems(jobs, checks)])
    return tuple(map(_job, checks, jobs))


def _resumed(
    overrides: Sequence[Override], settings: SweepSettings, library: Library, problems: Sequence[str]
) -> Sweep:
    """What an earlier sweep is gone on with: jobs are configured already, but code to import is named anew."""
    listed = [each for each in overrides if each.key_or_group == EXTENSIONS]
    others = [each for each in overrides if each not in listed]
    named = [each.key_or_group for each in others if not _is_of_the_sweep(each) or each.key_or_group == PAIRED]
    check = Check(library, listed).run()
    wrong = [problem for problem in check.problems if problem.startswith(EXTENSIONS)]
    _raise([*problems, *map(_not_with_resume, named), *wrong])
    return Sweep((), settings, (), extensions=check.settings.extensions if check.settings else ())


def _search(overrides: Sequence[Override], settings: SweepSettings, library: Library, problems: Sequence[str]) -> Sweep:
    """What is searched; refused where neither the first values of all ranges nor the last can be run."""
    _raise([*problems, *range_problems(overrides)])
    what = searched(overrides)
    first = check_ends(what, library)
    judged_by = {} if settings.objective or first is None else {"objective": _monitored(first)}
    return Sweep((), settings.model_copy(update=judged_by), tuple(what.space), what)


def _by_sweeper(
    overrides: Sequence[Override], settings: SweepSettings, library: Library, problems: Sequence[str]
) -> Sweep:
    """What a sweeper of Hydra's is given. Only what Hydra would refuse is told already: the jobs are its to propose."""
    if problem := sweeper_problem(overrides, library):
        raise ConfigurationError([*problems, problem])
    hydra = Check(library, [each for each in overrides if each.is_hydra_override()]).run()
    single = [each for each in overrides if not each.is_sweep_override()]
    choices = [problem for each in single if is_choice(each, library) and (problem := bad_choice(each, library))]
    both = [
        f"{key} must not go with hydra/sweeper: one of them says which jobs there are; leave the other out"
        for key, given in (("sweep.search", settings.search), (PAIRED, settings.paired))
        if given
    ]
    _raise([*problems, *hydra.problems, *choices, *both])
    return Sweep((), settings, (), for_sweeper=tuple(for_hydra(each, library) for each in overrides))


def check_ends(what: Searched, library: Library) -> Settings | None:
    """The settings with the first value of every range; None where these cannot be run.

    Raises `ConfigurationError` with what is wrong with them, where it is wrong with the last values as well.
    """
    first, last = (Check(library, parse(texts, library)[0]).run() for texts in what.ends)
    keys = {problem.partition(" ")[0] for problem in last.problems}
    _raise([problem for problem in first.problems if problem.partition(" ")[0] in keys])
    return first.settings


def _monitored(settings: Settings) -> str | None:
    """What training monitors, where it was told; None where that depends on the data."""
    name = settings.train.monitor
    return None if name == "auto" or goal_of_column(name) is None else name


def _sweep_settings(overrides: Sequence[Override], library: Library) -> tuple[SweepSettings, list[str]]:
    """What `sweep.*` says, checked with the default files; the defaults where there are problems."""
    if not overrides:
        return SweepSettings(), []
    check = Check(library, overrides).run()
    problems = [problem for problem in check.problems if problem.startswith("sweep")]
    return (SweepSettings() if problems or check.settings is None else check.settings.sweep), problems


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
    if override.key_or_group == "resume":
        return f"{override.input_line} must go with a single run; sweep.resume=SWEEP_DIR goes on with a sweep"
    if override.is_sweep_override() and override.is_hydra_override():
        return f"{override.input_line} must be one value: Hydra's own keys cannot be swept"
    if override.is_sweep_override() and _is_of_the_sweep(override):
        return f"{override.input_line} must be one value: it says how all jobs of the sweep are run"
    return None


def _needs_search(override: Override) -> str:
    key = override.get_key_element()
    return f"{override.input_line} must list its values, as in {key}=1,2,3, or be searched: add sweep.search=random"


def _is_of_the_sweep(override: Override) -> bool:
    return override.key_or_group.split(".")[0] == "sweep"


def _only_in_sweeps(override: Override) -> str:
    return f"{override.input_line} must go with -m, which starts a sweep; leave it out of a single run"


def _not_with_resume(key: str) -> str:
    return f"{key} must not go with sweep.resume: the jobs are configured already; leave it out"


def _typed(text: str) -> str:
    return text.lstrip("+")


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
