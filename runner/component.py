"""Components: the base of all settings, the types of their keys, and the optional packages that some of them need.

The fields of a component are its configuration schema, and the text below each field is its help. Numbers, flags and
texts are strict (`"8"` is not an `int`); paths are given as text, tuples as lists. Constructors read no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from runner.errors import ConfigurationError


@dataclass(frozen=True)
class Package:
    """A package that a choice, such as `tracker=mlflow`, needs; `otherwise` names an alternative choice.

    pip installs it as an `extra` of keras-runner, or by its own name if that is None.
    """

    choice: str
    name: str
    extra: str | None
    otherwise: str

    @property
    def key(self) -> str:
        """The key of the choice that needs the package."""
        return self.choice.partition("=")[0]

    @property
    def is_installed(self) -> bool:
        """Whether the package can be found; it is not imported."""
        spec = find_spec(self.name)
        # A plain folder of that name, such as wandb/ in a working directory, has no origin.
        return spec is not None and spec.origin is not None


def not_installed(packages: Iterable[Package]) -> list[str]:
    """A problem for each package that is not installed, or not in a version that works, with how to install it."""
    return [problem for package in packages if (problem := _problem(package))]


def require(packages: Iterable[Package]) -> None:
    """Raise `ConfigurationError`, naming all of these packages that are not installed."""
    if problems := not_installed(packages):
        raise ConfigurationError(problems)


def _problem(package: Package) -> str | None:
    wanted = f"'keras-runner[{package.extra}]'" if package.extra else package.name
    if not package.is_installed:
        lacks = f"the package {package.name}, which is not installed"
    elif unmet := _unmet_requirement(package):
        lacks = f"{unmet}, got version {metadata.version(package.name)}"
    else:
        return None
    return f"{package.choice} needs {lacks}; pip install {wanted}, or {package.otherwise}"


def _unmet_requirement(package: Package) -> str | None:
    """The requirement of keras-runner's own extra that the installed version does not meet: `optuna>=5`."""
    if package.extra is None:
        return None
    from packaging.requirements import Requirement

    try:
        requirements = map(Requirement, metadata.requires("keras-runner") or ())
        version = metadata.version(package.name)
    except metadata.PackageNotFoundError:  # the runner is not installed, or the package is called otherwise
        return None
    for requirement in requirements:
        is_extra = requirement.marker is not None and requirement.marker.evaluate({"extra": package.extra})
        if (
            requirement.name == package.name
            and is_extra
            and not requirement.specifier.contains(version, prereleases=True)
        ):
            return f"{requirement.name}{requirement.specifier}"
    return None


def is_folder(path: Path) -> bool:
    """Whether there is a folder at `path`; not if one may not look there, or no path can be so long."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file at `path`; not if one may not look there, or no path can be so long."""
    try:
        return path.is_file()
    except OSError:
        return False


def _not_empty(value: Any) -> Any:
    """A path as given; empty text would mean the working directory."""
    if value == "":
        raise PydanticCustomError("empty_path", "a path must not be empty")
    return value


Folder = Annotated[
    Path, Strict(False), BeforeValidator(_not_empty), WithJsonSchema({"type": "string", "format": "directory-path"})
]
File = Annotated[
    Path, Strict(False), BeforeValidator(_not_empty), WithJsonSchema({"type": "string", "format": "file-path"})
]
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
Line = Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=100, json_schema_extra={"format": "line"})]
"""A short text without line breaks, and without space around it."""
Lines = Annotated[tuple[Line, ...], Strict(False)]


class Component(BaseModel):
    """Settings that check themselves and refuse unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def names(self) -> Iterator[tuple[str, str]]:
        """The keys that name the user's own code, each with its name, my_module.f."""
        return iter(())

    def packages(self) -> Iterator[Package]:
        """The optional packages that these settings need."""
        return iter(())

    def document(self) -> dict[str, Any]:
        """The settings as plain values of YAML and JSON; each component begins with its `kind`."""
        document: dict[str, Any] = _kind_first(self.model_dump(mode="json"))
        return document


def _kind_first(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ordered = {"kind": value["kind"], **value} if "kind" in value else value
    return {key: _kind_first(item) for key, item in ordered.items()}
