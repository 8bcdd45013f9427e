"""The user's own code: functions and classes named by the configuration, found only in the modules that it lists.

The check of a configuration reads these modules and imports none of them.
"""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError, RunnerError
from runner.messages import nearest


def module_of(name: str) -> str:
    """The module of a dotted name: `my_module` of `my_module.f`; empty if it has none."""
    return name.rpartition(".")[0]


def module_exists(module: str) -> bool:
    """Whether `module` is in the working directory, installed, or a part of Python; nothing is imported."""
    return module in sys.modules or module in sys.stdlib_module_names or _find(module) is not None


def file_of(module: str) -> Path | None:
    """The file of `module`; None if it has none. Nothing is imported."""
    imported, spec = sys.modules.get(module), _find(module)
    origin = getattr(imported, "__file__", None) or (spec.origin if spec and spec.has_location else None)
    return Path(origin) if origin else None


def _find(module: str) -> ModuleSpec | None:
    """The place of `module`; its parents are not imported either."""
    first, *parts = module.split(".")
    spec = PathFinder.find_spec(first, [str(Path.cwd()), *sys.path])
    if spec is None and first and first not in sys.modules:
        spec = find_spec(first)  # packages in an editable install have their own finders
    for part in parts:
        places = spec.submodule_search_locations if spec else None
        spec = PathFinder.find_spec(part, places) if places else None
    return spec


def resolve(name: str, extensions: Sequence[str]) -> Any:
    """The object `name`, such as `my_module.f`, of a module that `extensions` lists.

    Raises `ConfigurationError` as `load` does, and if the module is not listed.
    """
    module = module_of(name)
    if module not in extensions:
        raise ConfigurationError(
            f"{name} must be in a module that extensions lists, got extensions=[{', '.join(extensions)}]; "
            f"add extensions=[{module or 'MODULE'}]"
        )
    return load(name)


def load(name: str) -> Any:
    """The object `name` of a module that the settings list, which is imported at its first use.

    The module is in the working directory, or installed. Raises `ConfigurationError` if the module does not exist,
    cannot be imported, or has no such name.
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
            f"extensions must list modules that can be imported, got {module}: {error_text(error)}; fix it there"
        ) from error
    if not hasattr(imported, attribute):
        raise ConfigurationError(
            f"{name} must be in {imported.__file__ or module}, which has no {attribute!r}; define it there, or correct "
            "the name"
        )
    return getattr(imported, attribute)


SCRIPT = "__main__"
"""The module of a script or notebook that calls the runner."""


def script_problem(name: str) -> str | None:
    """The problem with an object of a script or notebook that does not run in this process; None if it does."""
    module, _, attribute = name.rpartition(".")
    if module != SCRIPT or hasattr(sys.modules[SCRIPT], attribute):
        return None
    return (
        f"{name} is in a script or notebook that this process does not run; call runner.run there, or move it into "
        f"my_module.py and name it my_module.{attribute}, with 'extensions=[my_module]'"
    )


def import_code(names: Iterable[str]) -> None:
    """Import the modules of `names`, without a script that does not run: a saved model may need what they register."""
    for name in names:
        if script_problem(name) is None:
            load(name)


def call(
    name: str,
    group: str,
    arguments: Mapping[str, Any],
    offered: Mapping[str, Any] | None = None,
    *,
    key: str = "target",
) -> Any:
    """Call the function or class `name` with `arguments`, and with those of `offered` that it has parameters for.

    Raises `ConfigurationError`, with the keys of the component `group`, if it cannot be called with these; `key` is the
    one that names the function.
    """
    function, offered = load(name), offered or {}
    if not callable(function):
        raise ConfigurationError(f"{group}.{key} must be a function or class, got {name}: {kind_of(function)}")
    signature = inspect.signature(function)
    values = {key: value for key, value in offered.items() if key in signature.parameters} | dict(arguments)
    try:
        signature.bind(**values)
    except TypeError as error:
        also = f"the data offers {', '.join(offered)}, and {group}.arguments gives the rest" if offered else ""
        raise ConfigurationError(
            f"{group}.{key}={name} must accept the arguments ({', '.join(values)}): {error}; "
            f"{also or f'{group}.arguments must be those of {name}{signature}'}"
        ) from error
    return function(**values)


def make(
    name: str,
    group: str,
    arguments: Mapping[str, Any],
    offered: Mapping[str, Any] | None = None,
    *,
    key: str = "target",
) -> Any:
    """As `call`, for what is made before training: an error of the user's code there is one of the configuration."""
    try:
        return call(name, group, arguments, offered, key=key)
    except RunnerError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"{group}.{key}={name} cannot be made: {error_text(error, name)}; correct it there, or {group}.arguments"
        ) from error


def kind_of(value: Any) -> str:
    """The type of an object of the user's, for a message."""
    if value is None:
        return "nothing (is there a return?)"
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of type {type(value).__name__}"


def error_text(error: Exception, name: str = "") -> str:
    """An error of the user's own code in one line, with its file and line.

    The line is the last one in the module of `name`, if the error passed through it: the error may come from a library.
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
        f"extensions must list modules that can be imported, got {module}, but there is no {missing or module}; "
        "put it into the working directory, or install it"
    )


def missing_module(module: str) -> str | None:
    """The problem with an entry of `extensions` that does not exist; None if it does."""
    return None if module_exists(module) else _missing(module)


def code_problem(module: str) -> str | None:
    """The reason why importing an existing `module` would fail: its syntax, or a missing package; None if neither."""
    tree = _read(module)
    if isinstance(tree, SyntaxError):
        return (
            f"extensions must list modules that can be imported, got {module}: {tree.msg} "
            f"({tree.filename}, line {tree.lineno}); fix it there"
        )
    absent = dict.fromkeys(package for package in _needed(tree) if not module_exists(package)) if tree else {}
    if absent:
        return (
            f"extensions must list modules that can be imported, got {module}, which needs {' and '.join(absent)}; "
            f"install {'it' if len(absent) == 1 else 'them'}"
        )
    return None


def missing_attribute(name: str) -> str | None:
    """The problem with `my_module.f` if my_module.py can be read and defines no `f`; None otherwise."""
    if (problem := script_problem(name)) is not None:
        return problem
    module, _, attribute = name.rpartition(".")
    tree = _read(module)
    if tree is None or isinstance(tree, SyntaxError) or hasattr(sys.modules.get(module), attribute):
        return None
    defined = set(_defined(tree.body))
    if attribute in defined or defined & {"*", "__getattr__"}:
        return None
    found = nearest(attribute, sorted(defined))
    fix = f"did you mean '{module}.{found}'?" if found else "define it there, or correct the name"
    return f"{name} must be in {file_of(module)}, which has no {attribute!r}; {fix}"


def _read(module: str) -> ast.Module | SyntaxError | None:
    """The code of a module; None if it is not Python text."""
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
    """The packages that a module always imports: at its top level, outside of `if` and `try`."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements define in a module, also within `if`, `try`, `with` and loops."""
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
