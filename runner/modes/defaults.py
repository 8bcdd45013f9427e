"""What a run does other than by default: the keys of its settings that were chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from runner.choices import our_conf
from runner.component import Component
from runner.records.files import to_plain
from runner.settings import Settings

SHOWN_ELSEWHERE = ("name", "tags", "note", "extensions")
"""Keys that the page of a run shows in other places."""

GROUPS = ("data", "loader", "model", "train", "tracker")
"""The groups that have files."""


def chosen_keys(config: Settings) -> dict[str, Any]:
    """The dotted keys whose value differs from the default, with that value.

    A default is that of the settings class, or of the runner's own file of the group. So the keys do not depend on who
    made the settings: a command, a file, or Python code.

    >>> from runner import compose
    >>> chosen_keys(compose(["data.limit=40", "loader.batch_size=32"]))  # batches of 32 are the default
    {'data.limit': 40}
    """
    return dict(_chosen(config, {group: _file_of(group, getattr(config, group)) for group in GROUPS}, ""))


def _file_of(group: str, part: Component) -> Mapping[str, Any]:
    """The runner's own file for the kind of a part; empty if there is none."""
    path = our_conf() / group / f"{getattr(part, 'kind', 'default')}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return content if isinstance(content, dict) else {}


def _chosen(part: Component, defaults: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in type(part).model_fields.items():
        if name == "kind" or field.exclude or (name in SHOWN_ELSEWHERE and not prefix):
            continue
        if name == "epochs" and getattr(part, "phases", None):
            continue  # the sum of those of the phases
        value, key, in_file = getattr(part, name), f"{prefix}{name}", defaults.get(name, {})
        default = field.get_default(call_default_factory=True)
        if isinstance(value, Component):
            inside = list(_chosen(value, in_file if isinstance(in_file, Mapping) else {}, f"{key}."))
            # A part that is off by default is chosen even where all its keys have their defaults.
            yield from inside or ([(key, _plain(value))] if default is None else [])
        elif (plain := _plain(value)) not in (_plain(default), in_file):
            yield key, plain


def _plain(value: Any) -> Any:
    """The value as it is in run.json: paths are texts, tuples are lists."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_given(item) if isinstance(item, Component) else _plain(item) for item in value]
    return value.document() if isinstance(value, Component) else to_plain(value)


def _given(part: Component) -> dict[str, Any]:
    """A part of a list, with the keys that it was given."""
    return part.model_dump(mode="json", exclude_unset=True)
