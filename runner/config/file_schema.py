"""JSON schemas of configuration files for editors: partial files of one group, or experiments."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from runner.config.schema import Schema

EXPERIMENT = "experiment"
GROUPS = ("data", "loader", "model", "train", "tracker")
KINDS = (EXPERIMENT, *GROUPS)
"""The files that have a schema: experiments, and those of each group."""

DEFAULTS = {
    "type": "array",
    "items": {"type": ["string", "object"]},
    "description": "Files that this one builds on, and the choice of files of other groups.",
}
LATER = {"type": "string", "pattern": r"^\?\?\?$|\$\{"}
"""A value that is given later, or an interpolation."""


def file_schema(kind: str) -> dict[str, Any]:
    """The schema of the files of one of `KINDS`, in which no key is required.

    A group of keys is checked by its `kind` (an optimizer or a schedule by its `name`) where the file gives it, else
    against the keys of all kinds.
    """
    root: dict[str, Any] = deepcopy(dict(Schema(described=True).root))
    root["$defs"] = {name: _partial(node) for name, node in root.get("$defs", {}).items()}
    schema = _partial(root) if kind == EXPERIMENT else _group(root, kind)
    schema.pop("$defs", None)
    schema["properties"] = {"defaults": DEFAULTS, **schema.get("properties", {})}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"conf/{kind}/*.yaml of keras-runner",
        **schema,
        "$defs": root["$defs"],
    }


def _group(root: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of one group, with its components written out: a file may have `defaults` next to their keys."""
    node = root["properties"][name]
    if "discriminator" not in node:
        return deepcopy(root["$defs"][node["$ref"].rpartition("/")[2]])
    return _by_tag(node, lambda reference: _with_defaults(root["$defs"][reference.rpartition("/")[2]]))


def _with_defaults(component: dict[str, Any]) -> dict[str, Any]:
    return {**component, "properties": {"defaults": DEFAULTS, **component["properties"]}}


def _partial(node: Any) -> Any:
    """A node in which nothing is required, a union goes by its tag, and any value may be an interpolation."""
    if isinstance(node, list):
        return [_partial(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node:
        return _by_tag(node, lambda reference: {"$ref": reference})
    changed = {name: _partial(value) for name, value in node.items() if name not in ("required", "properties")}
    if "properties" in node:
        changed["properties"] = {name: _or_later(_partial(value)) for name, value in node["properties"].items()}
    return changed


def _or_later(node: dict[str, Any]) -> dict[str, Any]:
    """A value, or what stands for it; the description stays at the key, where editors look for it."""
    texts: dict[str, Any] = {name: node[name] for name in ("description", "default", "title") if name in node}
    return {**texts, "anyOf": [{name: value for name, value in node.items() if name not in texts}, LATER]}


def _by_tag(node: dict[str, Any], component: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """A union by the value of its discriminator, without which any of its components fits."""
    tag, mapping = node["discriminator"]["propertyName"], node["discriminator"]["mapping"]
    cases = [
        {"if": {"properties": {tag: {"const": value}}, "required": [tag]}, "then": component(reference)}
        for value, reference in mapping.items()
    ]
    untagged = {"if": {"not": {"required": [tag]}}, "then": {"anyOf": [case["then"] for case in cases]}}
    texts: dict[str, Any] = {name: node[name] for name in ("description", "default") if name in node}
    known = {tag: {"anyOf": [{"enum": list(mapping)}, LATER]}}
    return {**texts, "type": "object", "properties": known, "allOf": [*cases, untagged]}
