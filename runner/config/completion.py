"""Completion of a command line in a shell: subcommands, flags, groups, choices, keys and the values they may have."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.config.files import Library, open_library
from runner.config.overrides import SUBCOMMANDS
from runner.config.schema import AnyKey, Schema
from runner.messages import yaml_text

PATHS = ("directory-path", "file-path", "path")
"""Formats of keys that name a folder or a file."""


def completions(line: str, flags: Sequence[str]) -> list[str]:
    """What the last word of `line` may become, sorted; `line` begins with the name of the command.

    Keys that go on end in a dot, others in `=`.
    """
    *before, word = line.split(" ")[1:] or [""]
    if before and before[0] in SUBCOMMANDS:
        return []
    if word.startswith("-"):
        return sorted(flag for flag in flags if flag.startswith(word))
    with open_library() as library:
        found = set(_values(word, before, library) if "=" in word else _keys(word, before, library))
    found |= {name for name in SUBCOMMANDS if not before and word and name.startswith(word)}
    return sorted(found)


def _keys(word: str, before: Sequence[str], library: Library) -> Iterator[str]:
    """Groups and keys that begin with `word`, up to their next dot."""
    yield from (f"{group}=" for group in library.groups if group.startswith(word))
    base = word[: word.rfind(".") + 1]
    groups = {found.key.rpartition(".")[0] for found in Schema().all_keys()}
    for found in _usable(before, library):
        if found.key.startswith(word):
            name, dot, _ = found.key.removeprefix(base).partition(".")
            is_group = dot or f"{base}{name}" in groups
            if found.key not in library.groups:
                yield f"{base}{name}{'.' if is_group else '='}"


def _values(word: str, before: Sequence[str], library: Library) -> Iterator[str]:
    """The choices of a group, or the values of a key, that begin as the one in `word` does."""
    key, _, value = word.partition("=")
    others, comma, value = value.rpartition(",")  # in a sweep
    options = list(library.groups.get(key, ()))
    schema = Schema()
    for found in _usable(before, library):
        if found.key == key and not options:
            for shape in (found.node, *schema.shapes(found.node)):
                options += map(yaml_text, schema.options(shape))
                if shape.get("format") in PATHS:
                    options += _paths(value)
    yield from (f"{key}={others}{comma}{option}" for option in options if option.startswith(value))


def _usable(before: Sequence[str], library: Library) -> Iterator[AnyKey]:
    """The keys of what the words `before` choose, and of the default choices of other groups."""
    chosen = dict(library.defaults) | {group: choice for group, _, choice in (word.partition("=") for word in before)}
    for found in Schema().all_keys():
        group, _, choice = found.choice.partition("=")
        if chosen.get(group) in (choice, None):
            yield found


def _paths(begun: str) -> Iterator[str]:
    """Files and folders whose path begins so; a folder ends in a slash. A shell would cut names with spaces."""
    folder, name = os.path.split(begun)
    try:
        entries = sorted(os.scandir(folder or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(name) and " " not in entry.name and (name or not entry.name.startswith(".")):
            yield f"{Path(folder) / entry.name if folder else entry.name}{'/' if entry.is_dir() else ''}"
