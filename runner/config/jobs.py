"""One job: from the overrides of a command line to checked settings, with every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.config.compose import Check
from runner.config.config_file import shown
from runner.config.files import Library, open_library
from runner.config.overrides import (
    by_kind,
    for_hydra,
    is_of_sweeper,
    is_sweep_key,
    is_unread,
    needs_sweep,
    only_in_sweeps,
    parse,
    usable,
)
from runner.errors import ConfigurationError
from runner.settings import Composed, Settings


@dataclass(frozen=True)
class Job:
    """One checked run; `overrides` are written for Hydra, `foreign_files` are the user's own files it uses."""

    settings: Settings
    overrides: tuple[str, ...]
    foreign_files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    """What the files ask for without effect, and what they change in a rerun."""

    @property
    def plain_overrides(self) -> tuple[str, ...]:
        """The overrides as a person writes them, without the `+` and `++` for Hydra."""
        return tuple(map(_plain, self.overrides))


def compose(overrides: Sequence[str] = ()) -> Settings:
    """The settings of a run with these overrides, written as after `python -m runner`; its record lists them.

    Raises `ConfigurationError` with all problems.
    """
    is_list = isinstance(overrides, Sequence) and not isinstance(overrides, str)
    if not is_list or not all(isinstance(text, str) for text in overrides):
        raise ConfigurationError(
            f"overrides must be a list of texts, as in ['loader=sequence', 'train.epochs=3'], got {overrides!r}"
        )
    job = prepare(overrides)
    return job.settings.composed_from(Composed(job.plain_overrides, job.foreign_files))


def prepare(texts: Sequence[str]) -> Job:
    """The one job of these overrides, checked.

    Raises `ConfigurationError` with all problems.
    """
    with open_library() as library:
        overrides, problems = usable(texts, library)
        several = [override for override in overrides if override.is_sweep_override()]
        single = [override for override in overrides if override not in several]
        check = Check(library, single).run()
        check.problems = [problem for problem in check.problems if not is_unread(problem.key, problems)]
        of_sweeps = [override for override in single if is_sweep_key(override) or is_of_sweeper(override)]
        problems += [*map(needs_sweep, several), *map(only_in_sweeps, of_sweeps)]
        job = _job(check, [for_hydra(override, library) for override in single], problems)
        file = check.composition.file_of("sweep") if check.composition else None
        notes = [] if file is None else [f"the keys of sweep in {shown(file)} have no effect without -m"]
        if job.settings.rerun is not None:
            from runner.config.base_run import reset_keys  # imports records: only an earlier run needs them

            notes += reset_keys(job.settings, job.settings.rerun, by_kind(single, library))
        return replace(job, notes=tuple(notes))


def check_jobs(jobs: Sequence[Sequence[str]], library: Library, problems: Sequence[str] = ()) -> tuple[Job, ...]:
    """The jobs of these overrides, which are written for Hydra.

    Raises `ConfigurationError` with `problems` and all problems of all jobs. A problem of some jobs names the first.
    """
    checks = [Check(library, parse(job, library)[0]).run() for job in jobs]
    alone = (check.settings and check.settings.distribute.alone("-m, whose jobs each use one host") for check in checks)
    problems = [*problems, *(problem for problem in alone if problem)]
    raise_problems([*problems, *_common_problems(jobs, checks)])
    return tuple(map(_job, checks, jobs))


def raise_problems(problems: Sequence[str]) -> None:
    """Raise `ConfigurationError` with each of these problems once; return if there are none."""
    if problems:
        raise ConfigurationError(list(dict.fromkeys(problems)))


def defaults_of(texts: Sequence[str], library: Library) -> dict[str, Any]:
    """The values of the files that overrides choose, for `--help`, which reports no problems.

    Where a required key is missing, values that no file sets are left out.
    """
    overrides, _ = usable(texts, library)
    check = Check(library, [override for override in overrides if not override.is_sweep_override()]).run()
    return check.document if check.settings is None or check.texts else check.settings.document()


def _job(check: Check, texts: Sequence[str], problems: Sequence[str] = ()) -> Job:
    raise_problems([*problems, *check.texts])
    if check.settings is None or check.composition is None:
        raise ConfigurationError("the configuration cannot be checked")
    return Job(check.settings, tuple(texts), check.composition.foreign_files)


def _common_problems(jobs: Sequence[Sequence[str]], checks: Sequence[Check]) -> Iterator[str]:
    """Each problem once; a problem that only some jobs have, with the first of these jobs."""
    numbers_of: dict[str, list[int]] = {}
    for number, check in enumerate(checks):
        for problem in dict.fromkeys(check.texts):
            numbers_of.setdefault(problem, []).append(number)
    for problem, numbers in numbers_of.items():
        more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
        where = f" (job {numbers[0]}{more}: {' '.join(map(_plain, jobs[numbers[0]]))})"
        yield problem if len(numbers) == len(checks) else problem + where


def _plain(text: str) -> str:
    return text.lstrip("+")
