"""A sweep as it was requested: from the overrides of a command line with `-m` to checked jobs.

There are four kinds of sweeps: every combination of listed values, a search (`sweep.search`), the rest of an earlier
sweep (`sweep.resume`), and jobs that a sweeper plugin of Hydra's proposes (`hydra/sweeper`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra.core.override_parser.types import Override

from runner.commands.expand import expand, pairing_problems
from runner.commands.search_space import SearchedOverrides, range_problems, searched_overrides
from runner.config.compose import EXTENSIONS, Check
from runner.config.files import Library, open_library
from runner.config.jobs import Job, check_jobs, raise_problems
from runner.config.overrides import (
    bad_choice,
    for_hydra,
    is_choice,
    is_of_sweeper,
    is_sweep_key,
    parse,
    sweeper_problem,
    usable,
)
from runner.config.validation import validate
from runner.distribute.launch import refuse_apart
from runner.errors import ConfigurationError
from runner.records.columns import goal_of_column
from runner.records.folder import OUTPUT_DIR, OUTPUTS, outputs
from runner.settings import READING, Settings
from runner.sweeps.launchers import launcher_problem
from runner.sweeps.settings import SweepSettings

PAIRED = "sweep.paired"


@dataclass(frozen=True)
class Sweep:
    """Checked jobs in their order, and how to run them."""

    jobs: tuple[Job, ...]
    settings: SweepSettings
    varied: tuple[str, ...]
    """The keys with several values, in the order of the command line."""

    space: SearchedOverrides | None = None
    """The ranges of a search, which has no jobs yet."""

    extensions: tuple[str, ...] = ()
    """With `sweep.resume`, the modules that the jobs may import; the earlier sweep's own list does not count."""

    for_sweeper: tuple[str, ...] = ()
    """The overrides that a sweeper of Hydra's makes jobs from, written for Hydra."""

    root: Path = OUTPUTS
    """The folder of all sweeps and runs."""


def prepare_sweep(texts: Sequence[str]) -> Sweep:
    """The sweep of these overrides. All its jobs are checked before the first one starts.

    Raises `ConfigurationError` with all problems. A problem that only some jobs have names the first of them. One of
    several processes of a launcher is refused: each would do all jobs.
    """
    refuse_apart()
    with open_library() as library:
        sweep = _prepared(texts, library)
        for backend in {job.settings.backend for job in sweep.jobs if job.settings.mode not in READING}:
            refuse_apart(backend)
        return replace(sweep, root=_root(parse(texts, library)[0], library))


def _prepared(texts: Sequence[str], library: Library) -> Sweep:
    overrides, problems = usable(texts, library)
    problems += [problem for override in overrides if (problem := _not_in_a_sweep(override))]
    overrides = [override for override in overrides if not _not_in_a_sweep(override)]
    settings, wrong = _sweep_settings(overrides, library)
    wrong += [problem] if (problem := launcher_problem(settings)) else []
    if settings.resume is not None:
        return _resumed(overrides, settings, library, [*problems, *wrong])
    of_jobs = [override for override in overrides if not is_sweep_key(override)]
    if any(map(is_of_sweeper, overrides)):
        return _by_sweeper(of_jobs, settings, library, [*problems, *wrong])
    if settings.search is not None:
        return _search(of_jobs, settings, library, [*problems, *wrong])
    return _combinations(of_jobs, settings, library, problems, wrong)


def _root(overrides: Sequence[Override], library: Library) -> Path:
    """The folder of all sweeps and runs, by the command line or by a chosen file."""
    choices = [each for each in overrides if is_choice(each, library) and not each.is_sweep_override()]
    setting = [each for each in choices if library.sets(each.key_or_group, str(each.value()), OUTPUT_DIR)]
    setting += [override for override in overrides if override.key_or_group == OUTPUT_DIR]
    given = Check(library, setting).run().document.get(OUTPUT_DIR) if setting else None
    return outputs(Path(given) if given and isinstance(given, str) else None)


def check_ends(space: SearchedOverrides, library: Library) -> Settings | None:
    """The settings with the first value of every range; None if these have problems.

    Raises `ConfigurationError` with the problems of the keys that are wrong with the last values as well, and those of
    only some seeds and folds.
    """
    first, last = (Check(library, parse(texts, library)[0]).run() for texts in space.ends)
    others = [Check(library, parse(texts, library)[0]).run() for texts in space.of_members[1:]]
    keys = {problem.key for problem in last.problems}
    of_members = [[problem.text for problem in check.problems] for check in (first, *others)]
    wrong = [text for texts in of_members for text in texts if any(text not in each for each in of_members)]
    raise_problems(list(dict.fromkeys([*(each.text for each in first.problems if each.key in keys), *wrong])))
    return first.settings


def _sweep_settings(overrides: Sequence[Override], library: Library) -> tuple[SweepSettings, list[str]]:
    """The settings below `sweep`, of the command line and of chosen files, and their problems; defaults if any."""
    choices = [override for override in overrides if is_choice(override, library)]
    single = [override for override in choices if not override.is_sweep_override()]
    chosen = [override for override in single if not bad_choice(override, library)]
    several = [problem for override in choices if (problem := _sweeps_of_several(override, library))]
    keys = list(filter(is_sweep_key, overrides))
    if not keys and not chosen:
        return SweepSettings(), several
    check = Check(library, [*chosen, *keys]).run()
    problems = [*several, *(problem.text for problem in check.problems if problem.key.startswith("sweep"))]
    # The rest may lack keys that come with the jobs; the defaults lack none.
    document = {**Check(library, ()).run().document, "sweep": check.document.get("sweep", {})}
    settings = validate(document).settings
    return (SweepSettings() if problems or settings is None else settings.sweep), problems


def _sweeps_of_several(override: Override, library: Library) -> str | None:
    """The problem with a choice of several files of which one sets keys of `sweep`; None if there is none."""
    options = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
    setting = [name for name in options if library.sets(override.key_or_group, name, "sweep")]
    if not setting:
        return None
    return (
        f"{override.input_line} must not list {setting[0]}, whose file sets keys of sweep: these are one for all jobs; "
        "give them on the command line"
    )


def _combinations(
    overrides: Sequence[Override],
    settings: SweepSettings,
    library: Library,
    problems: Sequence[str],
    wrong: Sequence[str],
) -> Sweep:
    """The jobs of every combination of values. `wrong` are problems of the `settings`, which then do not count."""
    ranges = [override for override in overrides if override.is_sweep_override() and not override.is_discrete_sweep()]
    listed = [for_hydra(override, library) for override in overrides if override not in ranges]
    forced, _ = parse(listed, library)
    needed = [] if wrong else list(map(_needs_search, ranges))
    wrong = [*wrong, *pairing_problems(forced, settings.paired)]
    jobs = expand(forced, () if wrong else settings.paired)
    varied = tuple(dict.fromkeys(override.key_or_group for override in forced if override.is_sweep_override()))
    return Sweep(check_jobs(jobs, library, [*problems, *needed, *wrong]), settings, varied)


def _search(overrides: Sequence[Override], settings: SweepSettings, library: Library, problems: Sequence[str]) -> Sweep:
    """A search; refused if neither the first values of all ranges nor the last ones can run."""
    raise_problems([*problems, *range_problems(overrides)])
    space = searched_overrides(overrides)
    if (first := check_ends(space, library)) is not None:
        refuse_apart(first.backend)
    objective = {} if settings.objective or first is None else {"objective": _monitored(first)}
    return Sweep((), settings.model_copy(update=objective), tuple(space.keys.values()), space)


def _resumed(
    overrides: Sequence[Override], settings: SweepSettings, library: Library, problems: Sequence[str]
) -> Sweep:
    """The rest of an earlier sweep, whose jobs are configured already; `extensions` must be given again."""
    listed = [override for override in overrides if override.key_or_group in (EXTENSIONS, OUTPUT_DIR)]
    others = [override for override in overrides if override not in listed]
    refused = [
        f"{key} must not go with sweep.resume: the jobs are configured already; leave it out"
        for override in others
        if not is_sweep_key(override) or override.key_or_group == PAIRED
        for key in [override.key_or_group]
    ]
    check = Check(library, listed).run()
    wrong = [problem.text for problem in check.problems if problem.key.startswith((EXTENSIONS, OUTPUT_DIR))]
    raise_problems([*problems, *refused, *wrong])
    return Sweep((), settings, (), extensions=check.settings.extensions if check.settings else ())


def _by_sweeper(
    overrides: Sequence[Override], settings: SweepSettings, library: Library, problems: Sequence[str]
) -> Sweep:
    """The overrides for a sweeper of Hydra's, which proposes the jobs; only what Hydra would refuse is checked now."""
    if problem := sweeper_problem(overrides, library):
        raise ConfigurationError([*problems, problem])
    hydra = Check(library, [override for override in overrides if override.is_hydra_override()]).run()
    single = [override for override in overrides if not override.is_sweep_override()]
    choices = [
        problem
        for override in single
        if is_choice(override, library) and (problem := bad_choice(override, library)) is not None
    ]
    both = [
        f"{key} must not go with hydra/sweeper: only one of them can propose the jobs; leave the other out"
        for key, value in (("sweep.search", settings.search), (PAIRED, settings.paired))
        if value
    ]
    raise_problems([*problems, *hydra.texts, *choices, *both])
    return Sweep((), settings, (), for_sweeper=tuple(for_hydra(override, library) for override in overrides))


def _monitored(settings: Settings) -> str | None:
    """The metric that training monitors; None if that depends on the data."""
    name = settings.train.monitor
    return None if name == "auto" or goal_of_column(name) is None else name


def _not_in_a_sweep(override: Override) -> str | None:
    """The reason why an override cannot go with `-m`; None if it can."""
    if override.key_or_group == "resume":
        return f"{override.input_line} resumes a single run; to resume a sweep give sweep.resume=SWEEP_DIR"
    if override.is_sweep_override() and override.is_hydra_override():
        return f"{override.input_line} must be one value: keys of Hydra's cannot be swept"
    if override.is_sweep_override() and (is_sweep_key(override) or override.key_or_group == OUTPUT_DIR):
        return f"{override.input_line} must be one value: it applies to all jobs of the sweep"
    return None


def _needs_search(override: Override) -> str:
    key = override.get_key_element()
    return f"{override.input_line} must list its values, as in {key}=1,2,3; to search a range add sweep.search=random"
