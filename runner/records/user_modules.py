"""Digests of the user's own code: the modules that `extensions` lists, and what they import from their project."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runner.user_code import file_of

INSTALLED = ("site-packages", "dist-packages")
"""Folders of installed packages, whose versions are recorded instead."""


def code_digests(extensions: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each module of `extensions`, and of the modules of the same project that they import, by name.

    A project is the working directory, or the folder that holds a listed module. Modules are read, not imported: one
    that is found only while the code runs (`importlib`), and files that the code reads, are not seen.
    """
    files = {module: file for module in extensions if (file := _python_file(module)) is not None}
    roots = {Path.cwd(), *(_root(module, file) for module, file in files.items())}
    digests: dict[str, str] = {}
    waiting = [name for module in files for name in _with_parents(module)]
    while waiting:
        module = waiting.pop(0)
        file = _python_file(module) if module not in digests else None
        if file is None or not (module in files or _is_of_project(module, file, roots, extensions)):
            continue
        content = file.read_bytes()
        digests[module] = hashlib.sha256(content).hexdigest()
        waiting += [name for found in _imported(content, module, file) for name in _with_parents(found)]
    return dict(sorted(digests.items()))


def changed_modules(before: Mapping[str, str] | None, now: Mapping[str, str]) -> Iterator[str]:
    """A line for each module of the user's own that differs; nothing where an earlier version did not record them."""
    for module in dict.fromkeys((*before, *now)) if before is not None else ():
        what = module if module.startswith("callback ") else f"module {module}"
        if module not in now:
            yield f"{what} is not used any more"
        elif module not in (before or {}):
            yield f"{what} is new"
        elif (before or {})[module] != now[module]:
            yield f"the code of {what} changed"


def _python_file(module: str) -> Path | None:
    if module.partition(".")[0] in sys.stdlib_module_names:
        return None
    file = file_of(module)
    return file.resolve() if file is not None and file.suffix == ".py" and file.is_file() else None


def _root(module: str, file: Path) -> Path:
    """The folder that holds the first package of a module, or the module itself."""
    depth = module.count(".") + (file.name == "__init__.py")
    return file.parents[depth]


def _is_of_project(module: str, file: Path, roots: set[Path], extensions: Sequence[str]) -> bool:
    if module.partition(".")[0] in {listed.partition(".")[0] for listed in extensions}:
        return True
    is_installed = bool({*file.parts} & {*INSTALLED}) or file.is_relative_to(Path(sys.prefix).resolve())
    return not is_installed and any(file.is_relative_to(root) for root in roots)


def _with_parents(module: str) -> Iterator[str]:
    """The packages around a module, which Python imports first, and the module."""
    parts = module.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _imported(content: bytes, module: str, file: Path) -> Iterator[str]:
    """The modules that a module imports anywhere in its code; names imported from a package may be modules, too."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield from [base] if base else ()
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that `from … import` names; a relative one belongs to `package`."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
