"""The base of every configurable part: a frozen model of its own settings.

A component's fields are its configuration schema, the text below each field is its help. Numbers, flags and words
are strict (`"8"` is no `int`); paths and tuples take what YAML has for them, text and lists. Constructors read no
file: work happens in named methods.

Packages that only some choices need: whether they are installed, told without importing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict, WithJsonSchema

from runner.errors import ConfigurationError


@dataclass(frozen=True)
class Package:
    """What a choice, such as `tracker=mlflow`, cannot do without; `otherwise` says what can be chosen in its place.

    An `extra` of keras-runner installs it; without one, its own name does.
    """

    choice: str
    name: str
    extra: str | None
    otherwise: str

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported, as far as that can be told without doing so."""
        spec = find_spec(self.name)
        # A mere folder of that name, such as the one wandb leaves where it was started, has no origin.
        return spec is not None and spec.origin is not None


def not_installed(packages: Iterable[Package]) -> list[str]:
    """What is wrong where packages are not installed, and how to get them."""
    return [_problem(package) for package in packages if not package.is_installed]


def require(packages: Iterable[Package]) -> None:
    """Raise `ConfigurationError`, naming all of these packages that are not installed."""
    if problems := not_installed(packages):
        raise ConfigurationError(problems)


def _problem(package: Package) -> str:
    wanted = f"'keras-runner[{package.extra}]'" if package.extra else package.name
    return (
        f"{package.choice} must have the package {package.name} installed, got none; pip install {wanted}, "
        f"or {package.otherwise}"
    )


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

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

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
