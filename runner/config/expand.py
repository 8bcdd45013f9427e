"""From lists of values to the overrides of each job: every combination, but for keys that are paired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product

from hydra.core.override_parser.types import Override

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
