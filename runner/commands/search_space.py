"""The space of a search: ranges in Hydra's grammar, and the overrides that are the same in every trial.

A seed and a fold are never searched, as the easiest would win: each trial is run with all that are listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from runner.config.files import Library
from runner.config.overrides import parse
from runner.sweeps.searchers import Choices, Interval, SearchSpace, TrialValues
from runner.sweeps.sweep_plan import REPEATS

LOG = "log"

MAX_LISTED = 10
"""The most values of a range that a message lists."""


@dataclass(frozen=True)
class SearchedOverrides:
    """The overrides of a search in their order, and the ranges among them.

    `keys` holds the key of each override that has several values, `members` the seed and the fold of each job of a
    trial, where these are listed.
    """

    overrides: tuple[str, ...]
    keys: dict[str, str]
    ranges: SearchSpace
    members: tuple[TrialValues, ...] = ({},)

    def with_values(self, values: TrialValues) -> tuple[str, ...]:
        """The overrides of one job, with these values of all `keys`."""
        keys = {text: self.keys.get(text) for text in self.overrides}
        return tuple(text if key is None else f"{key}={values[key]}" for text, key in keys.items())

    @property
    def ends(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The overrides with the first value of every key, and with the last."""
        first, last = (
            {key: each.ends[end] for key, each in self.ranges.items()} | self.members[end] for end in (0, -1)
        )
        return self.with_values(first), self.with_values(last)

    @property
    def of_members(self) -> tuple[tuple[str, ...], ...]:
        """The overrides of each job of a trial, with the first value of every range."""
        first = {key: each.ends[0] for key, each in self.ranges.items()}
        return tuple(self.with_values(first | member) for member in self.members)


def read_searched(texts: Sequence[str], library: Library, members: int) -> SearchedOverrides:
    """The space of overrides that were checked before, of a search with this number of jobs in each trial."""
    return searched_overrides(parse(texts, library)[0], with_members=members > 1)


def searched_overrides(overrides: Sequence[Override], *, with_members: bool = True) -> SearchedOverrides:
    """The space of overrides without `range_problems`; without members, a seed is searched like any other key."""
    several = [override for override in overrides if override.is_sweep_override()]
    repeated = [override for override in several if with_members and override.key_or_group in REPEATS]
    keys = {override.input_line or "": override.key_or_group for override in several}
    ranges = {override.key_or_group: _dimension(override) for override in several if override not in repeated}
    listed = [[(each.key_or_group, value) for value in each.sweep_string_iterator()] for each in repeated]
    members = tuple(dict(member) for member in product(*listed))
    return SearchedOverrides(tuple(override.input_line or "" for override in overrides), keys, ranges, members)


def range_problems(overrides: Sequence[Override]) -> Iterator[str]:
    """The problems of the ranges."""
    several = [override for override in overrides if override.is_sweep_override()]
    repeated = [override for override in several if override.key_or_group in REPEATS]
    if len(repeated) == len(several):
        got = " and ".join(f"only {override.input_line}" for override in repeated[:1]) or "none"
        yield f"sweep.search must have a range to search, got {got}; add one, train.learning_rate='interval(0.001,0.1)'"
    keys = [override.key_or_group for override in overrides]
    for override in several:
        text, value = override.input_line, override.value()
        if keys.count(override.key_or_group) > 1:
            yield f"{override.key_or_group} must be given once in a search, got {keys.count(override.key_or_group)}"
        if override in repeated:
            yield from _problems_of_members(override)
        elif isinstance(value, IntervalSweep):
            low, high = value.start, value.end
            if low is None or high is None or not low < high:
                yield f"{text} must go from a smaller to a larger number; write interval(0.001,0.1)"
            elif LOG in value.tags and not low > 0:
                yield f"{text} must begin above 0 to be searched on a logarithmic scale; begin at 1e-6, for example"
            if value.tags - {LOG}:
                yield f"{text} must have no tag other than log, got {', '.join(sorted(value.tags - {LOG}))}"
        elif not isinstance(value, list) and getattr(value, "tags", None):
            yield f"{text} must have no tag: only an interval can have one, tag(log,interval(0.001,0.1))"


def _problems_of_members(override: Override) -> Iterator[str]:
    """The problems of the seeds or folds that each trial is run with."""
    key, value = override.key_or_group, override.value()
    whole = f"{override.input_line} must list its values: a search never searches {key}, since the easiest would win"
    if not isinstance(value, ChoiceSweep) or value.shuffle or value.tags:
        values = list(override.sweep_string_iterator()) if isinstance(value, ChoiceSweep | RangeSweep) else []
        listed = values if 1 < len(values) <= MAX_LISTED else ["0", "1", "2"]
        yield f"{whole}; write {key}={','.join(sorted(listed, key=float))} to run each trial with all of them"
        return
    values = list(override.sweep_string_iterator())
    if twice := [each for each in dict.fromkeys(values) if values.count(each) > 1]:
        yield f"{override.input_line} must list each value once, got {twice[0]} {values.count(twice[0])} times"


def _dimension(override: Override) -> Interval | Choices:
    value = override.value()
    if isinstance(value, IntervalSweep) and value.start is not None and value.end is not None:
        return Interval(value.start, value.end, log=LOG in value.tags)
    return Choices(tuple(override.sweep_string_iterator()), ordered=override.is_range_sweep())
