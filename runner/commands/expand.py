"""From lists of values to the overrides of each job: every combination; values of paired keys go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product

from hydra.core.override_parser.types import Override

Pairs = Sequence[Sequence[str]]


def expand(overrides: Sequence[Override], pairs: Pairs = ()) -> list[tuple[str, ...]]:
    """The overrides of each job, written and ordered as by Hydra's basic sweeper. The last of a repeated key counts.

    The keys of each of the `pairs` take their values together, in the place of the first of them.
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
    """The problems of the pairs with these overrides."""
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
            counted = " and ".join(f"{counts[key]} of {key}" for key in pair if key in counts)
            yield f"sweep.paired must pair keys with equally many values, got {counted}; list as many of each"


def _axes(values: Mapping[str, list[str]], pairs: Pairs) -> list[list[tuple[str, ...]]]:
    """The axes of the combinations: the values of one key, or those of paired keys."""
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
