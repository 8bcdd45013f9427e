"""The text of `--help`: groups, keys and their meaning, from the schema and the files."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from runner.config.files import Library, open_library
from runner.config.jobs import defaults_of
from runner.config.schema import Node, Schema
from runner.messages import yaml_text

HEADER = """\
usage: python -m runner [flags] [group=choice ...] [key=value ...]

Train, evaluate and run a Keras model; choose how the data reaches it.

examples
  python -m runner                                            1,797 digits, about half a minute
  python -m runner loader=in_memory train.epochs=5            another loader, fewer epochs
  python -m runner data=directory data.root=photos            your own images
  python -m runner -m loader=sequence,generator seed=0,1      four jobs, each in its own process
  python -m runner data=arrays model=mlp --help               the keys of other choices

subcommands (keras-runner is short for python -m runner)
  keras-runner runs         list, compare and clean up earlier runs
  keras-runner report       draw the page of a run or a sweep again
  keras-runner examples     write small example data
"""

KEY_WIDTH = 34
OBVIOUS = ("true or false", "text")
"""Expected values that the key's value shows already."""


def help_text(overrides: Sequence[str], flags: str) -> str:
    """Usage, flags, groups, and the keys of the chosen components, each with its value and its meaning."""
    with open_library() as library:
        parts = [HEADER, flags, "\n".join(_groups(library)), "\n".join(_keys(defaults_of(overrides, library)))]
    return "\n".join(parts) + "\n"


def _groups(library: Library) -> Iterator[str]:
    yield "groups (your own files in ./conf/<group>/ add to them)"
    for group, options in library.groups.items():
        default = library.defaults.get(group)
        listed = [f"[{option}]" if option == default else option for option in options]
        yield f"  {group:<10}{', '.join(listed)}"
    yield ""


def _keys(document: dict[str, Any]) -> Iterator[str]:
    schema = Schema(described=True)
    yield "keys"
    for name, node in schema.root["properties"].items():
        value = document.get(name)
        if "properties" not in schema.component(node, value) and schema.variants(node) is None:
            yield from _entry(name, node, schema, document)
            continue
        kind = value.get("kind") if isinstance(value, dict) else None
        yield ""
        yield f"  {f'{name}={kind}' if kind else name}: {node['description']}"
        for key, child in schema.keys(node, value, f"{name}."):
            yield from _entry(key, child, schema, document)


def _entry(key: str, node: Node, schema: Schema, document: dict[str, Any]) -> Iterator[str]:
    """The key with its value, and next to it its meaning and the values it accepts, wrapped."""
    title = f"  {key}={yaml_text(_value(key, node, document))}"
    expected = schema.expected(node)
    description = node.get("description", "")
    shown = "" if expected in OBVIOUS else f"({expected})"
    text = f"{description} {shown}".strip()
    width = max(shutil.get_terminal_size().columns, KEY_WIDTH + 40)
    lines = textwrap.wrap(text, width - KEY_WIDTH, break_on_hyphens=False) or [""]
    if len(title) >= KEY_WIDTH:
        yield title
        title = ""
    for line in lines:
        yield f"{title:<{KEY_WIDTH}}{line}".rstrip()
        title = ""


def _value(key: str, node: Node, document: dict[str, Any]) -> Any:
    value: Any = document
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return node.get("default", "…")
        value = value[part]
    return value
