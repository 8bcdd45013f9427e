"""Targets that are numbers, of data whose files do not name them."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from runner.component import Component, Names
from runner.data.labels import Head
from runner.errors import DataError
from runner.messages import plural, yaml_text

SAMPLE, TARGET = "sample", "target"
"""Names of the arrays of a sample whose target is an array."""


class NumberSettings(Component):
    """The key of the names of numbers, for data whose `class_mode` can be raw."""

    value_names: Names | None = None
    """The names of the numbers of class_mode=raw, in their order, for predictions.csv and the page of the run; null:
    their positions, 0, 1, …"""

    @model_validator(mode="after")
    def _names_have_an_effect(self) -> Self:
        names, mode = self.value_names, getattr(self, "class_mode", None)
        if names is None:
            return self
        if mode not in ("raw", None):  # a model that is used without labels keeps the key
            raise ValueError(f"value_names must be null with class_mode={yaml_text(mode)}, got [{', '.join(names)}]")
        if len(set(names)) < len(names) or not all(names):
            raise ValueError(f"value_names must be different names, got [{', '.join(names)}]")
        return self


def numbers_head(num_values: int, names: tuple[str, ...] | None) -> tuple[Head, ...]:
    """Head of targets of one number or several, with their `names`, or named by their position.

    Raises `DataError` unless there is a name for each number, or none at all.
    """
    if names is None:
        return (Head("", "raw", value_names=tuple(map(str, range(num_values))) if num_values > 1 else ()),)
    if len(names) != num_values:
        raise DataError(
            f"data.value_names must name {plural(num_values, 'number')} per sample, got {len(names)}: "
            f"{', '.join(names)}"
        )
    return (Head("", "raw", value_names=names),)
