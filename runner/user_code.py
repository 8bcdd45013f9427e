"""Names of the user's own functions and classes: found only in the modules the configuration lists.

The user's own modules, as far as they can be judged by reading them: nothing is imported.
"""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError
from runner.messages import nearest


def module_of(name: str) -> str:
    """The module of a dotted name: `my_module` of `my_module.f`; empty where there is none."""
    return name.rpartition(".")[0]


def is_there(module: str) -> bool:
    """Whether `module` lies in the working directory, is installed, or is a part of Python; nothing is imported."""
    return module in sys.modules or module in sys.stdlib_module_names or _find(module) is not None


def file_of(module: str) -> Path | None:
    """The file that `module` lies in; None where there is none. Nothing is imported."""
    imported, spec = sys.modules.get(module), _find(module)
    origin = getattr(imported, "__file__", None) or (spec.origin if spec and spec.has_location else None)
    return Path(origin) if origin else None


def _find(module: str) -> ModuleSpec | None:
    """Where `module` lies, its parents not imported either."""
    first, *parts = module.split(".")
    spec = PathFinder.find_spec(first, [str(Path.cwd()), *sys.path])
    if spec is None and first and first not in sys.modules:
        spec = find_spec(first)  # packages that are installed for editing have finders of their own
    for part in parts:
        places = spec.submodule_search_locations if spec else None
        spec = PathFinder.find_spec(part, places) if places else None
    return spec


def resolve(name: str, extensions: Sequence[str]) -> Any:
    """What `name`, such as `my_module.f`, stands for, as `load` finds it.

    Raises `ConfigurationError` as `load` does, and if the module is not one of `extensions`.
    """
    module = module_of(name)
    if module not in extensions:
        raise ConfigurationError(
            f"{name} must be in a module that extensions lists, got extensions=[{', '.join(extensions)}]; "
            f"add extensions=[{module or 'MODULE'}]"
        )
    return load(name)


def load(name: str) -> Any:
    """What `name` stands for, which the settings have found to be of a listed module; imported at the first use.

    Modules lie beside the configuration, in the working directory, or are installed. Raises `ConfigurationError` if
    the module is not there, fails while it is imported, or has no such name.
    """
    module, _, attribute = name.rpartition(".")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        imported = import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise ConfigurationError(_missing(module, error.name)) from error
        raise ConfigurationError(
            f"extensions must list modules that can be imported, got {module}: {told(error)}; correct it there"
        ) from error
    if not hasattr(imported, attribute):
        raise ConfigurationError(
            f"{name} must be in {imported.__file__ or module}, which has no {attribute!r}; define it there, or correct "
            "the name"
        )
    return getattr(imported, attribute)


def call(name: str, group: str, arguments: Mapping[str, Any], offered: Mapping[str, Any] | None = None) -> Any:
    """What the function or class `name` gives for `arguments`, and for those of `offered` it has parameters for.

    Raises `ConfigurationError`, in the words of the component `group`, where it cannot be called with these.
    """
    function, offered = load(name), offered or {}
    if not callable(function):
        raise ConfigurationError(f"{group}.target must be a function or class, got {name}: {kind_of(function)}")
    signature = inspect.signature(function)
    given = {key: value for key, value in offered.items() if key in signature.parameters} | dict(arguments)
    try:
        signature.bind(**given)
    except TypeError as error:
        also = f"the data offers {', '.join(offered)}, and {group}.arguments gives the rest" if offered else ""
        raise ConfigurationError(
            f"{group}.target={name} must take what it is given, ({', '.join(given)}): {error}; "
            f"{also or f'{group}.arguments must be those of {name}{signature}'}"
        ) from error
    return function(**given)


def kind_of(value: Any) -> str:
    """What something of the user's is, for a message."""
    return "nothing (is there a return?)" if value is None else f"an object of type {type(value).__name__}"


def told(error: Exception, name: str = "") -> str:
    """An error of the user's own code in one line, with the file and line it was raised in.

    Where it went through the module of `name`, with the line there: what that called may be a library's.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = getattr(sys.modules.get(module_of(name)), "__file__", None)
    frames = [frame for frame in frames if frame.filename == own] or frames
    file, line = frames[-1].filename, frames[-1].lineno
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    text = getattr(error, "msg", "") if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
    return f"{type(error).__name__}{f': {text}' if text else ''} ({file}, line {line})"


def _missing(module: str, missing: str | None = None) -> str:
    return (
        f"extensions must list modules that can be imported, got {module}: there is no {missing or module}; "
        "put it into the working directory, or install it"
    )


def missing_module(module: str) -> str | None:
    """What is wrong with an entry of `extensions`, as far as that can be told without importing it."""
    return None if is_there(module) else _missing(module)


def code_problem(module: str) -> str | None:
    """Why importing `module`, which is there, would fail: its syntax, or a package it needs that is not installed."""
    tree = _read(module)
    if isinstance(tree, SyntaxError):
        return (
            f"extensions must list modules that can be imported, got {module}: {tree.msg} "
            f"({tree.filename}, line {tree.lineno}); correct it there"
        )
    absent = dict.fromkeys(package for package in _needed(tree) if not is_there(package)) if tree else {}
    if absent:
        return (
            f"extensions must list modules that can be imported, got {module}, which needs {' and '.join(absent)}; "
            f"install {'it' if len(absent) == 1 else 'them'}"
        )
    return None


def missing_attribute(name: str) -> str | None:
    """What is wrong with `my_module.f` where my_module.py can be read, and defines no `f`."""
    module, _, attribute = name.rpartition(".")
    tree = _read(module)
    if tree is None or isinstance(tree, SyntaxError) or hasattr(sys.modules.get(module), attribute):
        return None
    defined = set(_defined(tree.body))
    if attribute in defined or defined & {"*", "__getattr__"}:
        return None
    meant = nearest(attribute, sorted(defined))
    mend = f"did you mean '{module}.{meant}'?" if meant else "define it there, or correct the name"
    return f"{name} must be in {file_of(module)}, which has no {attribute!r}; {mend}"


def _read(module: str) -> ast.Module | SyntaxError | None:
    """The module's code; None where it is no Python text."""
    file = file_of(module)
    if file is None or file.suffix != ".py":
        return None
    try:
        return ast.parse(Path(file).read_bytes(), str(file))
    except SyntaxError as error:
        return error
    except (OSError, ValueError):
        return None


def _needed(tree: ast.Module) -> Iterator[str]:
    """The packages a module imports whatever happens: at its top, outside `if` and `try`."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements give a module, those within `if`, `try`, `with` and loops included."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id
        for field in ("body", "orelse", "finalbody"):
            yield from _defined(getattr(node, field, []))
        for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _defined(handler.body)
