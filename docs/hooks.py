"""Pages of the site that are generated when it is built: every key, and files of the repository's root.

mkdocs calls `on_files`. Nothing generated is committed, so no page can go stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from runner.config.schema import Node, Schema
from runner.messages import yaml_text

ROOT = Path(__file__).resolve().parents[1]

ROOT_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "explanation/security.md",
}
"""Files of the root, and the page each becomes."""

KEYS_HEADER = """\
# Every key

Generated from the schema of this version. A key is set on the command line, `train.epochs=5`, or in a
[file of your own](../how-to/configuration.md). `python -m runner --help data=arrays` prints the keys of a choice with
their present values; `python -m runner --schema` prints a JSON schema for editors.

A default of `…` means that the key must be given.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    files.append(File.generated(config, "reference/keys.md", content=keys_page()))
    for source, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=_root_page(source)))
    return files


def keys_page() -> str:
    """The key reference: a table for the run itself, for each kind of each group, and for the groups without kinds."""
    return "\n".join([KEYS_HEADER, *_sections(Schema(described=True))]) + "\n"


def _sections(schema: Schema) -> Iterator[str]:
    groups = {name: node for name, node in schema.root["properties"].items() if _is_group(schema, node)}
    yield "## The run"
    single = ((name, node) for name, node in schema.root["properties"].items() if name not in groups)
    yield from _table(schema, single, {})
    for name, node in groups.items():
        yield f"\n## {name}\n\n{_text(node)}\n"
        variants = schema.variants(node)
        if variants is None:
            yield from _keys(schema, name, node, _shipped(name, "default"))
            continue
        for kind, component in variants.components.items():
            yield f"\n### {name}={kind}\n\n{_text(component)}\n"
            yield from _keys(schema, name, node, {"kind": kind, **_shipped(name, kind)})
    train = schema.resolve(groups["train"])["properties"]
    for key in ("optimizer", "learning_rate"):
        yield from _named(schema, f"train.{key}", train[key])


def _named(schema: Schema, key: str, node: Node) -> Iterator[str]:
    """A table for each component that a key chooses by `name`."""
    found = next((variants for shape in schema.shapes(node) if (variants := schema.variants(shape))), None)
    found = found or schema.variants(node)
    for name, component in found.components.items() if found else ():
        yield f"\n### {key}.name={name}\n\n{_text(component)}\n"
        nodes = ((f"{key}.{field}", child) for field, child in component["properties"].items() if field != "name")
        yield from _table(schema, nodes, {})


def _is_group(schema: Schema, node: Node) -> bool:
    return schema.variants(node) is not None or "properties" in schema.resolve(node)


def _shipped(group: str, name: str) -> dict[str, Any]:
    """The values that a file under conf/ sets; nothing for a group without files."""
    file = ROOT / "conf" / group / f"{name}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}


def _keys(schema: Schema, group: str, node: Node, values: dict[str, Any]) -> Iterator[str]:
    keys = schema.keys(node, values, f"{group}.", closed=False)
    yield from _table(schema, keys, {group: values})


def _table(schema: Schema, keys: Iterable[tuple[str, Node]], values: dict[str, Any]) -> Iterator[str]:
    rows = [
        f"| `{key}` | {_default(key, node, values)} | {_cell(_text(node))} | {_cell(schema.expected(node))} |"
        for key, node in keys
    ]
    yield from ("| key | default | meaning | value |", "|---|---|---|---|", *rows) if rows else ("No keys.",)


def _default(key: str, node: Node, values: dict[str, Any]) -> str:
    value: Any = values
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            value = node.get("default", "…")
            break
        value = value[part]
    return "…" if value == "…" else f"`{_cell(yaml_text(value))}`"


def _text(node: Node) -> str:
    return " ".join(str(node.get("description", "")).split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _root_page(name: str) -> str:
    """A file of the root as a page; its links to files of the repository become plain text."""
    file = ROOT / name
    if not file.exists():
        return f"# {file.stem.title()}\n\nThis version has no {name}.\n"
    return re.sub(r"\[([^\]]+)\]\((?!https?://|#)[^)]+\)", r"\1", file.read_text(encoding="utf-8"))
