"""The space of a search: ranges in Hydra's grammar, and the overrides that are the same in every trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.types import IntervalSweep, Override

from runner.config.files import Library
from runner.config.overrides import parse
from runner.sweeps.searchers import Choices, Interval, SearchSpace, TrialValues

LOG, FOLD = "log", "data.fold"


@dataclass(frozen=True)
class SearchedOverrides:
    """The overrides of a search in their order, and the ranges among them.

    `keys` holds the key of each override that is a range.
    """

    overrides: tuple[str, ...]
    keys: dict[str, str]
    ranges: SearchSpace

    def with_values(self, values: TrialValues) -> tuple[str, ...]:
        """The overrides of one trial."""
        keys = {text: self.keys.get(text) for text in self.overrides}
        return tuple(text if key is None else f"{key}={values[key]}" for text, key in keys.items())

    @property
    def ends(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The overrides with the first value of every range, and with the last."""
        first, last = ({key: each.ends[end] for key, each in self.ranges.items()} for end in (0, 1))
        return self.with_values(first), self.with_values(last)


def read_searched(texts: Sequence[str], library: Library) -> SearchedOverrides:
    """The space of overrides that were checked before."""
    return searched_overrides(parse(texts, library)[0])


def searched_overrides(overrides: Sequence[Override]) -> SearchedOverrides:
    """The space of overrides without `range_problems`."""
    several = [override for override in overrides if override.is_sweep_override()]
    keys = {override.input_line or "": override.key_or_group for override in several}
    ranges = {override.key_or_group: _dimension(override) for override in several}
    return SearchedOverrides(tuple(override.input_line or "" for override in overrides), keys, ranges)


def range_problems(overrides: Sequence[Override]) -> Iterator[str]:
    """The problems of the ranges."""
    several = [override for override in overrides if override.is_sweep_override()]
    if not several:
        yield "sweep.search must have a range to search, got none; add one, train.learning_rate='interval(0.001,0.1)'"
    keys = [override.key_or_group for override in overrides]
    for override in several:
        text, value = override.input_line, override.value()
        if keys.count(override.key_or_group) > 1:
            yield f"{override.key_or_group} must be given once in a search, got {keys.count(override.key_or_group)}"
        if override.key_or_group == FOLD:
            yield (
                f"{text} must be one fold in a search, which would pick the easiest; sweep over the folds with the "
                "values that it finds"
            )
        if isinstance(value, IntervalSweep):
            low, high = value.start, value.end
            if low is None or high is None or not low < high:
                yield f"{text} must go from a smaller to a larger number; write interval(0.001,0.1)"
            elif LOG in value.tags and not low > 0:
                yield f"{text} must begin above 0 to be searched on a logarithmic scale; begin at 1e-6, for example"
            if value.tags - {LOG}:
                yield f"{text} must have no tag other than log, got {', '.join(sorted(value.tags - {LOG}))}"
        elif not list(override.sweep_string_iterator()):
            yield f"{text} must hold at least one value, got none"
        elif not isinstance(value, list) and getattr(value, "tags", None):
            yield f"{text} must have no tag: only an interval can have one, tag(log,interval(0.001,0.1))"


def _dimension(override: Override) -> Interval | Choices:
    value = override.value()
    if isinstance(value, IntervalSweep) and value.start is not None and value.end is not None:
        return Interval(value.start, value.end, log=LOG in value.tags)
    return Choices(tuple(override.sweep_string_iterator()), ordered=override.is_range_sweep())
