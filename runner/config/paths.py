"""Missing paths and modules that a configuration names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.component import Component, is_file, is_folder
from runner.config.schema import Schema
from runner.config.validation import Problem
from runner.errors import reason
from runner.messages import nearest
from runner.settings import Settings
from runner.user_code import code_problem, missing_attribute, missing_module


def missing_paths(settings: Settings) -> Iterator[Problem]:
    """A problem for every module, name and path of the settings that must exist and does not."""
    for module in settings.extensions:
        if (missing := missing_module(module) or code_problem(module)) is not None:
            yield Problem("extensions", missing)
    for group in Settings.model_fields:
        if group == "model" and (settings.from_run or settings.resume) is not None:
            continue  # its files were read when it was first trained
        component = getattr(settings, group)
        for name, target in component.names() if isinstance(component, Component) else ():
            if (absent := missing_attribute(target)) is not None:
                yield Problem(f"{group}.{name}", f"{group}.{name}={absent}")
        for name, path in component.missing_paths() if hasattr(component, "missing_paths") else ():
            key = f"{group}.{name}"
            kind = _kind(_location(group, component, name))
            yield Problem(key, f"{key} must be an existing {kind}, got {path}{why_missing(path)}")


def _location(group: str, component: Component, key: str) -> tuple[str, ...]:
    """The location of a key of a component as pydantic has it: with the kind of each component on the way."""
    location: list[str] = [group]
    value: Any = component
    for part in key.split("."):
        location += [value.kind, part] if isinstance(value, Component) and hasattr(value, "kind") else [part]
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return tuple(location)


def _kind(location: tuple[str, ...]) -> str:
    schema = Schema()
    shapes = schema.shapes(schema.resolve(schema.locate(location).node or {}))
    paths = [shape for shape in shapes if "path" in shape.get("format", "")]
    return schema.expected((paths or shapes)[0]).removeprefix("a ")


def why_missing(path: Path) -> str:
    """What is at the path instead, or where the path was looked for, and a suggestion."""
    try:
        if path.exists():
            return f", which is a {'folder' if path.is_dir() else 'file'}"
    except OSError as error:
        return f" ({reason(error)})"
    looked = next((parent for parent in path.parents if is_folder(parent)), Path())
    home = path.expanduser() if path.parts[:1] == ("~",) else path  # a shell expands ~ where a word begins
    near = home if home != path and home.exists() else _nearest_path(path, looked)
    return f" (looked in {looked.resolve()})" + (f"; did you mean {str(near)!r}?" if near is not None else "")


def _nearest_path(path: Path, looked: Path) -> Path | None:
    """The path with its first missing part replaced by the nearest name there, if that path exists."""
    missing, *rest = path.relative_to(looked).parts
    try:
        found = nearest(missing, sorted(entry.name for entry in looked.iterdir()))
    except OSError:
        return None
    near = looked / found / Path(*rest) if found is not None else None
    return near if near is not None and (is_folder(near) or is_file(near)) else None
