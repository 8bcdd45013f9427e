"""From lists of values to the overrides of each job: every combination, but for keys that are paired.

What a search was typed as: ranges in Hydra's own grammar, beside values that stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product

from hydra.core.override_parser.types import IntervalSweep, Override

from runner.config.files import Library
from runner.config.overrides import parse
from runner.sweeps.searchers import Choices, Interval, SearchSpace, TrialValues

Pairs = Sequence[Sequence[str]]


def expand(overrides: Sequence[Override], pairs: Pairs = ()) -> list[tuple[str, ...]]:
    """The overrides of each job, in the words and in the order of Hydra's basic sweeper; of a repeated key the last.

    Keys of one of the `pairs` take their values together; they stand where the first of them was typed.
    """
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
    return [tuple(chain(*job)) for job in product(*_axes(values, pairs))]


def pairing_problems(overrides: Sequence[Override], pairs: Pairs) -> Iterator[str]:
    """What is wrong with the pairs, for these overrides."""
    counts = {
        override.key_or_group: len(list(override.sweep_string_iterator()))
        for override in overrides
        if override.is_discrete_sweep()
    }
    named = [key for pair in pairs for key in pair]
    for key in dict.fromkeys(named):
        if named.count(key) > 1:
            yield f"sweep.paired must name each key once, got {key} {named.count(key)} times; leave it in one pair"
        if key not in counts:
            yield f"sweep.paired must name keys that list values, got {key}; add {key}=VALUE,VALUE or leave it out"
    for pair in pairs:
        lengths = [counts[key] for key in pair if key in counts]
        if len(set(lengths)) > 1:
            told = " and ".join(f"{counts[key]} of {key}" for key in pair if key in counts)
            yield f"sweep.paired must pair equally many values, got {told}; list as many of each"


def _axes(values: Mapping[str, list[str]], pairs: Pairs) -> list[list[tuple[str, ...]]]:
    """What is combined with what: the values of a key, or those of paired keys side by side."""
    bare = {key.lstrip("+~"): key for key in values}
    partners = {bare[key]: [bare[name] for name in pair] for pair in pairs for key in pair}
    axes: list[list[tuple[str, ...]]] = []
    done: set[str] = set()
    for key in values:
        if key not in done:
            together = partners.get(key, [key])
            done.update(together)
            axes.append(list(zip(*(values[name] for name in together), strict=True)))
    return axes


LOG = "log"


@dataclass(frozen=True)
class Searched:
    """What was typed, in its order, and the ranges among it; keys of ranges by what was typed."""

    typed: tuple[str, ...]
    ranges: dict[str, str]
    space: SearchSpace

    def with_values(self, values: TrialValues) -> tuple[str, ...]:
        """The overrides of one trial."""
        keys = {text: self.ranges.get(text) for text in self.typed}
        return tuple(text if key is None else f"{key}={values[key]}" for text, key in keys.items())

    @property
    def ends(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The overrides with the first value of every range, and with the last."""
        first, last = ({key: each.ends[end] for key, each in self.space.items()} for end in (0, 1))
        return self.with_values(first), self.with_values(last)


def read_searched(typed: Sequence[str], library: Library) -> Searched:
    """What was accepted once, read again."""
    return searched(parse(typed, library)[0])


def searched(overrides: Sequence[Override]) -> Searched:
    """The overrides as a search has them; their ranges have no problems."""
    several = [override for override in overrides if override.is_sweep_override()]
    ranges = {override.input_line or "": override.key_or_group for override in several}
    space = {override.key_or_group: _dimension(override) for override in several}
    return Searched(tuple(override.input_line or "" for override in overrides), ranges, space)


def range_problems(overrides: Sequence[Override]) -> Iterator[str]:
    """What is wrong with the ranges."""
    several = [override for override in overrides if override.is_sweep_override()]
    if not several:
        yield "sweep.search must have a range to search, got none; add one, train.learning_rate='interval(0.001,0.1)'"
    keys = [override.key_or_group for override in overrides]
    for override in several:
        text, value = override.input_line, override.value()
        if keys.count(override.key_or_group) > 1:
            yield f"{override.key_or_group} must be given once in a search, got {keys.count(override.key_or_group)}"
        if isinstance(value, IntervalSweep):
            low, high = value.start, value.end
            if low is None or high is None or not low < high:
                yield f"{text} must go from a smaller to a larger number; write interval(0.001,0.1)"
            elif LOG in value.tags and not low > 0:
                yield f"{text} must begin above 0, for magnitudes have no end below; begin at 1e-6, say"
            if value.tags - {LOG}:
                yield f"{text} must have no tag but log, got {', '.join(sorted(value.tags - {LOG}))}"
        elif not list(override.sweep_string_iterator()):
            yield f"{text} must hold a value, got none"
        elif not isinstance(value, list) and getattr(value, "tags", None):
            yield f"{text} must have no tag: only an interval is tagged, tag(log,interval(0.001,0.1))"


def _dimension(override: Override) -> Interval | Choices:
    value = override.value()
    if isinstance(value, IntervalSweep) and value.start is not None and value.end is not None:
        return Interval(value.start, value.end, log=LOG in value.tags)
    return Choices(tuple(override.sweep_string_iterator()), ordered=override.is_range_sweep())
