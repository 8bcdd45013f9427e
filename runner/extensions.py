"""Names of the user's own functions and classes: found only in the modules the configuration lists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError


def module_of(name: str) -> str:
    """The module of a dotted name: `my_module` of `my_module.f`; empty where there is none."""
    return name.rpartition(".")[0]


def resolve(name: str, extensions: Sequence[str]) -> Any:
    """What `name`, such as `my_module.f`, stands for; its module is imported at the first use.

    Modules lie beside the configuration, in the working directory, or are installed. Raises `ConfigurationError` if
    the module is not one of `extensions`, is not there, or has no such name.
    """
    module, _, attribute = name.rpartition(".")
    if module not in extensions:
        raise ConfigurationError(
            f"{name} must be in a module that extensions lists, got extensions=[{', '.join(extensions)}]; "
            f"add extensions=[{module or 'MODULE'}]"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # what is missing is something the module imports
        raise ConfigurationError(
            f"extensions must list modules that can be imported, got {module}: there is no {error.name}; "
            "put it into the working directory, or install it"
        ) from error
    if not hasattr(imported, attribute):
        raise ConfigurationError(
            f"{name} must be in {imported.__file__ or module}, which has no {attribute!r}; define it there, or correct "
            "the name"
        )
    return getattr(imported, attribute)
