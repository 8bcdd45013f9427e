"""All problems of a configuration at once, in words a person can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from runner.config.schema import Node, Place, Schema, Variants
from runner.messages import did_you_mean, nearest, quoted
from runner.records.dotted import value_at
from runner.settings import Settings

ROUNDS = 4
"""pydantic judges what fields have to do with each other only where each is right by itself: mend, and ask again."""

Error = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a dotted key."""

    key: str
    text: str


@dataclass
class Judgement:
    """The settings, mended where there were problems; None if they could not be mended."""

    settings: Settings | None = None
    problems: list[Problem] = field(default_factory=list)

    def touches(self, key: str) -> bool:
        """Whether a key has a problem already, by itself or by its group."""
        return any(f"{key}.".startswith(f"{problem.key}.") for problem in self.problems)


def judge(document: Mapping[str, Any]) -> Judgement:
    """Check plain values, as YAML and JSON have them, against the schema."""
    judgement, mended = Judgement(), deepcopy(dict(document))
    errors = None
    for _ in range(ROUNDS):
        try:
            # JSON mode is as strict as it should be: a list is a tuple and text a path, but "8" is no number.
            judgement.settings = Settings.model_validate_json(json.dumps(mended, default=str))
            break
        except ValidationError as invalid:
            errors = errors or _Errors(mended)
            for error in invalid.errors(include_url=False):
                if errors.is_news(error, judgement):
                    judgement.problems.append(errors.problem(error))
            for error in invalid.errors(include_url=False):
                errors.mend(error)
    return judgement


class _Errors:
    """pydantic's errors about one document: as problems, and mended in it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.schema = document, Schema()
        self._invented: list[str] = []

    def is_news(self, error: Error, judgement: Judgement) -> bool:
        """Whether an error is of the person's making and not told yet, nor made by mending."""
        if error["type"] != "value_error":
            return not judgement.touches(self.problem(error).key)
        key = self.schema.locate(error["loc"]).key
        invented = any(name.startswith(f"{key}.") for name in self._invented)
        return not invented and self.problem(error) not in judgement.problems

    def problem(self, error: Error) -> Problem:
        place, kind = self.schema.locate(error["loc"]), error["type"]
        if kind == "value_error":
            return Problem(place.key, f"{place.key}.{error['ctx']['error']}".removeprefix("."))
        if kind.startswith("union_tag"):
            return self._tag(place, error["input"])
        if place.node is None:
            return Problem(place.key, self._unknown(place))
        expected = self.schema.expected(place.node)
        if kind == "missing":
            return Problem(place.key, f"{place.key} must be given, {expected}: {place.key}=…")
        value = self._value(place.key)
        return Problem(place.key, f"{place.key} must be {expected}, got {quoted(value)}{self._meant(place, value)}")

    def mend(self, error: Error) -> None:
        """Make the document right where the error is: by what was meant, the default, or a placeholder."""
        place, kind = self.schema.locate(error["loc"]), error["type"]
        if kind == "value_error":
            self._reset(place)
        elif kind != "union_tag_invalid" or not self._mend_tag(place, error):
            self._replace(place)

    def _tag(self, place: Place, value: Mapping[str, Any]) -> Problem:
        variants = self._variants(place)
        key, tags = f"{place.key}.{variants.property}", list(variants.components)
        got = quoted(value[variants.property]) if variants.property in value else "nothing"
        near = did_you_mean(value.get(variants.property), tags)
        return Problem(key, f"{key} must be one of {', '.join(tags)}, got {got}{near}")

    def _unknown(self, place: Place) -> str:
        group, _, name = place.key.rpartition(".")
        prefix, known = f"{group}." if group else "", list(place.owner["properties"])
        text = f"{place.key} is no key" + (f" of {_called(group, place)}" if group else "")
        others = [] if place.variants is None else [
            _called(group, place, tag) for tag, node in place.variants.components.items() if name in node["properties"]
        ]  # fmt: skip
        if others:
            return f"{text}; it belongs to {', '.join(others)}"
        return text + (
            did_you_mean(name, known, prefix)
            or self._elsewhere(name)
            or f"; its keys are {', '.join(key for key in known if key != 'kind')}"
        )

    def _elsewhere(self, name: str) -> str:
        keys = [key for key, _ in self.schema.keys(self.schema.root, self.document, closed=False)]
        found = [key for key in keys if key.rpartition(".")[2] == name]
        return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""

    def _meant(self, place: Place, value: Any) -> str:
        node = place.node or {}
        variants = self.schema.variants(node)
        if variants is not None and value in list(variants.components):
            return f"; did you mean '{place.key}.{variants.property}={value}'?"
        options = [option for shape in self.schema.shapes(node) for option in self.schema.options(shape)]
        return did_you_mean(value, [option for option in options if isinstance(option, str)])

    def _variants(self, place: Place) -> Variants:
        """Those of a place, or of the one shape of it that is a group of keys."""
        shapes = self.schema.shapes(place.node or {})
        found = [variants for shape in ({**(place.node or {})}, *shapes) if (variants := self.schema.variants(shape))]
        return found[0] if found else Variants("kind", {})

    def _reset(self, place: Place) -> None:
        """Leave of a component whose keys do not go together only what it cannot do without."""
        value = self._value(place.key)
        if isinstance(value, dict) and place.key:
            required = self.schema.component(place.node or {}, value).get("required", ())
            for name in set(value) - {"kind", "name", *required}:
                del value[name]

    def _mend_tag(self, place: Place, error: Error) -> bool:
        variants, value = self._variants(place), self._value(place.key)
        meant = nearest(error["input"].get(variants.property), variants.components)
        if meant is not None and isinstance(value, dict):
            value[variants.property] = meant
        return meant is not None

    def _replace(self, place: Place) -> None:
        group, _, name = place.key.rpartition(".")
        parent = self._value(group)
        if isinstance(parent, dict) and name:
            parent.pop(name, None)
            if place.node is not None and "default" not in place.node:
                parent[name] = self._placeholder(place.node)
                if not isinstance(parent[name], str):  # a number or a list may be wrong beside others, text is not
                    self._invented.append(place.key)

    def _placeholder(self, node: Node) -> Any:
        """A value of the right type for a key that has no default, to go on checking with."""
        variants = self.schema.variants(node)
        if variants is not None:
            components = variants.components
            return {variants.property: min(components, key=lambda tag: len(components[tag].get("required", ())))}
        node = self.schema.resolve(node)
        if node.get("type") in ("integer", "number"):
            return node.get("minimum", 1)
        if node.get("type") == "array":
            return [self._placeholder(node.get("items", {}))] * node.get("minItems", 0)
        return {} if node.get("type") == "object" else "placeholder"

    def _value(self, key: str) -> Any:
        return value_at(self.document, key) if key else self.document


def _called(group: str, place: Place, tag: str | None = None) -> str:
    """A group of keys as a person chooses it: `loader=sequence`, `train.optimizer.name=sgd`; else its name."""
    if place.variants is None:
        return group
    choice = group if place.variants.property == "kind" else f"{group}.{place.variants.property}"
    return f"{choice}={tag or place.tag}"
