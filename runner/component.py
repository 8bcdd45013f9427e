"""The base of every configurable part: a frozen model of its own settings.

A component's fields are its configuration schema, the text below each field is its help. Numbers, flags and words
are strict (`"8"` is no `int`); paths and tuples take what YAML has for them, text and lists. Constructors read no
file: work happens in named methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict, WithJsonSchema

from runner.packages import Package

Folder = Annotated[Path, Strict(False), WithJsonSchema({"type": "string", "format": "directory-path"})]
File = Annotated[Path, Strict(False), WithJsonSchema({"type": "string", "format": "file-path"})]
PositiveInt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Size = Annotated[tuple[PositiveInt, PositiveInt], Strict(False)]
DottedName = Annotated[
    str,
    Field(pattern=r"^\w+(\.\w+)+$"),
    WithJsonSchema({"type": "string", "format": "dotted-name", "pattern": r"^\w+(\.\w+)+$"}),
]
Arguments = dict[str, JsonValue]
Names = Annotated[tuple[str, ...], Strict(False)]


class Component(BaseModel):
    """Settings that check themselves; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def names(self) -> Iterator[tuple[str, str]]:
        """The keys that name code of the user's own, my_module.f, with those names."""
        return iter(())

    def packages(self) -> Iterator[Package]:
        """The packages that these settings need, and others do not."""
        return iter(())

    def document(self) -> dict[str, Any]:
        """The settings as plain values, as YAML and JSON have them; each component begins with its `kind`."""
        document: dict[str, Any] = _kind_first(self.model_dump(mode="json"))
        return document


def _kind_first(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ordered = {"kind": value["kind"], **value} if "kind" in value else value
    return {key: _kind_first(item) for key, item in ordered.items()}
