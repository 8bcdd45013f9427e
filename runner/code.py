"""The user's own modules, as far as they can be judged by reading them: nothing is imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from runner.messages import nearest
from runner.user_code import file_of, is_there


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
    mend = f"did you mean {module}.{meant}?" if meant else "define it there, or correct the name"
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
