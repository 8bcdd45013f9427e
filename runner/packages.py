"""Packages that only some choices need: whether they are installed, told without importing them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

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
