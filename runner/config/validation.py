"""Validation of a configuration: all problems at once, in words a person can act on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from runner.config.schema import OTHER_NAMES, KeyPlace, Node, Schema, Variants
from runner.messages import did_you_mean, nearest, quoted, yaml_text
from runner.records.dotted import value_at
from runner.settings import Settings

ROUNDS = 4
"""Rounds of validation. pydantic checks how fields fit together only if each is valid: correct them, and try again."""

OTHER_VALUES = {
    "none": None, "nil": None, "yes": True, "on": True, "no": False, "off": False,
    "train": "fit", "training": "fit", "test": "evaluate", "eval": "evaluate", "inference": "predict",
}  # fmt: skip
"""What people type for a value, and what it is called here."""

TYPES = {"string": str, "integer": int, "number": float}
"""The types of the items of a list, by their names in the schema."""

Error = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A problem of a dotted key."""

    key: str
    text: str


@dataclass
class Validated:
    """The settings, with corrected values where there are problems; None if correcting them failed."""

    settings: Settings | None = None
    problems: list[Problem] = field(default_factory=list)

    def touches(self, key: str) -> bool:
        """Whether a key, or its group, has a problem already."""
        return any(f"{key}.".startswith(f"{problem.key}.") for problem in self.problems)


def validate(document: Mapping[str, Any]) -> Validated:
    """Check plain values, as YAML and JSON have them, against the schema."""
    validated, corrected = Validated(), deepcopy(dict(document))
    errors = None
    for _ in range(ROUNDS):
        try:
            # JSON mode has the right strictness: it takes a list as a tuple and text as a path, but not "8" as 8.
            validated.settings = Settings.model_validate_json(json.dumps(corrected, default=str))
            break
        except ValidationError as invalid:
            errors = errors or _Errors(corrected)
            for error in invalid.errors(include_url=False):
                if errors.is_new(error, validated):
                    validated.problems.append(errors.problem(error))
            for error in invalid.errors(include_url=False):
                errors.correct(error)
    return validated


class _Errors:
    """pydantic's errors about one document: as problems, and corrected in the document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.schema = document, Schema()
        self._invented: list[str] = []

    def is_new(self, error: Error, validated: Validated) -> bool:
        """Whether an error is neither reported already nor caused by a corrected value."""
        if error["type"] != "value_error":
            return not validated.touches(self.problem(error).key)
        key = self.schema.locate(error["loc"]).key
        invented = any(name.startswith(f"{key}.") for name in self._invented)
        return not invented and self.problem(error) not in validated.problems

    def problem(self, error: Error) -> Problem:
        place, kind = self.schema.locate(error["loc"]), error["type"]
        if kind == "value_error":
            return Problem(place.key, f"{place.key}.{error['ctx']['error']}".removeprefix("."))
        if kind.startswith("union_tag"):
            return self._tag(place, error["input"])
        if place.node is None:
            return Problem(place.key, self._unknown(place))
        expected = self.schema.expected(place.node)
        if kind == "missing" and self._value(place.key) is None:  # else a list is too short
            how = "" if "[" in place.key else f": {place.key}=…"  # no override names an item of a list
            return Problem(place.key, f"{place.key} must be given, {expected}{how}")
        value = self._value(place.key)
        fix = self._suggestion(place, value) or self._example(place, value) or _as_text(place.key, expected, value)
        return Problem(place.key, f"{place.key} must be {expected}, got {quoted(value)}{fix}")

    def correct(self, error: Error) -> None:
        """Correct the document at the error: with the nearest value, the default, or a placeholder."""
        place, kind = self.schema.locate(error["loc"]), error["type"]
        if kind == "value_error":
            self._reset(place)
        elif kind != "union_tag_invalid" or not self._correct_tag(place, error):
            self._replace(place)

    def _tag(self, place: KeyPlace, value: Mapping[str, Any]) -> Problem:
        variants = self._variants(place)
        key, tags = f"{place.key}.{variants.property}", list(variants.components)
        got = quoted(value[variants.property]) if variants.property in value else "nothing"
        near = did_you_mean(value.get(variants.property), tags)
        return Problem(key, f"{key} must be one of {', '.join(tags)}, got {got}{near}")

    def _unknown(self, place: KeyPlace) -> str:
        group, _, name = place.key.rpartition(".")
        prefix, known = f"{group}." if group else "", list(place.owner["properties"])
        other = OTHER_NAMES.get(name)
        text = f"unknown key {place.key!r}" + (f" for {_choice(group, place)}" if group else "")
        others = [] if place.variants is None else [
            _choice(group, place, tag) for tag, node in place.variants.components.items() if name in node["properties"]
        ]  # fmt: skip
        if others:
            return f"{text}; it belongs to {', '.join(others)}"
        return text + (
            (other in known and f"; did you mean {f'{prefix}{other}'!r}?")
            or did_you_mean(name, known, prefix)
            or (not group.endswith("]") and self.schema.elsewhere(name))
            or f"; its keys are {', '.join(key for key in known if key != 'kind')}"
        )

    def _suggestion(self, place: KeyPlace, value: Any) -> str:
        node = place.node or {}
        variants = self._variants(place)
        if isinstance(value, str) and (found := nearest(value, variants.components)):
            return f"; did you mean '{place.key}.{variants.property}={found}'?"
        options = [option for shape in self.schema.shapes(node) for option in self.schema.options(shape)]
        if isinstance(value, str) and (other := OTHER_VALUES.get(value.lower(), value)) != value and other in options:
            return f"; did you mean {yaml_text(other)}?"
        return did_you_mean(value, [option for option in options if isinstance(option, str)])

    def _example(self, place: KeyPlace, value: Any) -> str:
        """How to write a value of this form: the example of the schema, or the value given as a list."""
        node = place.node or {}
        if "examples" in node:
            example = yaml_text(node["examples"][0]).replace("'", "")  # the shell's quotes are around it
            return f"; for example '{place.key}={example}'"
        if (names := list(self.schema.resolve(node).get("properties", ()))) and "[" not in place.key:
            return f"; set its keys one by one, as in {place.key}.{nearest(value, names) or names[0]}=…"
        for shape in self.schema.shapes(node) if "[" not in place.key else ():
            items: Node = shape["prefixItems"][0] if "prefixItems" in shape else shape.get("items", {})
            if shape.get("type") == "array" and type(value) is TYPES.get(items.get("type", "")):
                length = shape.get("minItems", 1) if shape.get("minItems") == shape.get("maxItems") else 1
                return f"; write '{place.key}=[{', '.join([yaml_text(value)] * length)}]'"
        return ""

    def _variants(self, place: KeyPlace) -> Variants:
        """The variants of a place, or of the one shape of it that is a group of keys."""
        shapes = self.schema.shapes(place.node or {})
        found = [variants for shape in ({**(place.node or {})}, *shapes) if (variants := self.schema.variants(shape))]
        return found[0] if found else Variants("kind", {})

    def _reset(self, place: KeyPlace) -> None:
        """Keep only the required keys of a component whose keys do not fit together."""
        value = self._value(place.key)
        if isinstance(value, dict) and place.key:
            required = self.schema.component(place.node or {}, value).get("required", ())
            for name in set(value) - {"kind", "name", *required}:
                del value[name]

    def _correct_tag(self, place: KeyPlace, error: Error) -> bool:
        variants, value = self._variants(place), self._value(place.key)
        found = nearest(error["input"].get(variants.property), variants.components)
        if found is not None and isinstance(value, dict):
            value[variants.property] = found
        return found is not None

    def _replace(self, place: KeyPlace) -> None:
        group, _, name = place.key.rpartition(".")
        parent = self._value(group)
        if isinstance(parent, dict) and name.endswith("]"):  # an item goes with its list
            parent.pop(name.partition("[")[0], None)
        elif isinstance(parent, dict) and name:
            parent.pop(name, None)
            if place.node is not None and "default" not in place.node:
                parent[name] = self._placeholder(place.node)
                if not isinstance(parent[name], str):  # a number or a list may conflict with other keys; text cannot
                    self._invented.append(place.key)

    def _placeholder(self, node: Node) -> Any:
        """A value of the right type for a key without a default, so that the check can go on."""
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


def _as_text(key: str, expected: str, value: Any) -> str:
    """A hint on quotes, where text is expected and YAML reads a number or a boolean."""
    items = value if isinstance(value, list) else [value]
    if (
        not re.search(r"\b(text|folder|file|path)", expected)
        or not items
        or not all(isinstance(item, str | int | float) for item in items)
    ):
        return ""
    if all(isinstance(item, str) for item in items) or ("list" in expected) != isinstance(value, list):
        return ""
    texts = [quoted(item if isinstance(item, str) else yaml_text(item)) for item in items]
    return f'; quotes make it text: "{key}={f"[{chr(44).join(texts)}]" if isinstance(value, list) else texts[0]}"'


def _choice(group: str, place: KeyPlace, tag: str | None = None) -> str:
    """A group of keys with its choice, `loader=sequence` or `train.optimizer.name=sgd`; its name if it has none."""
    if place.variants is None:
        return group
    choice = group if place.variants.property == "kind" else f"{group}.{place.variants.property}"
    return f"{choice}={tag or place.tag}"
