"""The JSON schema of the configuration: lookup by key, and in words what a key may be."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import ModelSchema

from runner.messages import yaml_text
from runner.settings import Settings

Node = Mapping[str, Any]

FORMATS = {
    "directory-path": "a folder",
    "file-path": "a file",
    "path": "a path",
    "dotted-name": "a name like my_module.name",
    "line": "text of 1 to 100 characters without space around it",
    "encoding": "keep, npy, or jpeg:QUALITY:SIDE such as jpeg:90:256",
}
NUMBERS = {"integer": ("a whole number", "whole numbers"), "number": ("a number", "numbers")}
FEW: dict[str, list[Any]] = {"boolean": [True, False], "null": [None]}
LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}

OTHER_NAMES = {
    "lr": "learning_rate",
    "optim": "optimizer",
    "epoch": "epochs", "num_epochs": "epochs", "n_epochs": "epochs", "max_epochs": "epochs",
    "bs": "batch_size", "batch": "batch_size", "batchsize": "batch_size",
    "num_workers": "workers", "n_workers": "workers", "nb_workers": "workers", "threads": "workers",
    "multiprocessing": "use_multiprocessing",
    "prefetch": "max_queue_size", "prefetch_factor": "max_queue_size", "queue_size": "max_queue_size",
    "image_size": "target_size", "img_size": "target_size", "input_size": "target_size", "size": "target_size",
    "val_split": "validation_split", "validation_fraction": "validation_split",
    "mixed_precision": "precision",
    "dir": "root", "folder": "root", "directory": "root", "data_dir": "root", "img_dir": "root", "csv": "manifest",
    "horizontal_flip": "flip", "vertical_flip": "flip", "rotation_range": "rotation", "zoom_range": "zoom",
    "width_shift_range": "translation", "height_shift_range": "translation", "shear_range": "shear_x",
    "brightness_range": "brightness", "gaussian_blur": "blur", "cutout": "erasing",
}  # fmt: skip
"""Names that other tools give to a key, and the last part of its name here."""

MOST_SUGGESTIONS = 3


@dataclass(frozen=True)
class Variants:
    """The components that a group of keys can be, by the value of one of their keys, `kind` or `name`."""

    property: str
    components: Mapping[str, Node]


@dataclass(frozen=True)
class KeyPlace:
    """A dotted key and its node; `node` is None if the key does not exist.

    `owner` is the component that has the key or should have it; `tag` is its name among the `variants`.
    """

    key: str
    node: Node | None
    owner: Node
    variants: Variants | None = None
    tag: str | None = None


@dataclass(frozen=True)
class AnyKey:
    """A key and its node; `choice` is the component that has it, such as data=arrays, if not all have."""

    key: str
    node: Node
    choice: str = ""


class Schema:
    """Walks through the JSON schema of the configuration."""

    def __init__(self, *, described: bool = False) -> None:
        self.root = json_schema(described=described)

    def locate(self, location: Sequence[str | int]) -> KeyPlace:
        """The place of a location of pydantic's.

        The key leaves out tags of unions, and ends at a list or a free mapping.
        """
        place = KeyPlace("", self.root, self.root)
        node, variants, tag = self.root, None, None
        rest = list(location)
        while rest:
            part, node = str(rest.pop(0)), self.resolve(node)
            found = self.variants(node)
            if found is not None:
                variants, tag, node = found, part, found.components[part]
            elif "properties" in node:
                key = f"{place.key}.{part}".removeprefix(".")
                place = KeyPlace(key, node["properties"].get(part), node, variants, tag)
                if place.node is None:
                    break
                node, variants, tag = place.node, None, None
            elif self.variants(below := node.get("additionalProperties") or {}) is not None:  # a component by name
                place = KeyPlace(f"{place.key}.{part}", below, node)
                node, variants, tag = below, None, None
            elif "properties" in (item := self.resolve(node.get("items") or {})):  # a component of a list
                place, node = KeyPlace(f"{place.key}[{part}]", node["items"], node), item
            else:  # the tag of a union, or an index
                node = next((shape for shape in self.shapes(node) if self.variants(shape) or "properties" in shape), {})
        return place

    def resolve(self, node: Node) -> Node:
        """A node without its reference, or without the alternative null."""
        if "$ref" in node:
            definition: Node = self.root["$defs"][node["$ref"].rpartition("/")[2]]
            return definition
        shapes = [shape for shape in node.get("anyOf", ()) if shape.get("type") != "null"]
        return self.resolve(shapes[0]) if len(shapes) == 1 else node

    def shapes(self, node: Node) -> list[Node]:
        """The alternatives of a union; the node itself if it is none."""
        return list(map(self.resolve, node.get("anyOf") or node.get("oneOf") or (node,)))

    def variants(self, node: Node) -> Variants | None:
        """The components of a union that has a discriminator; None for any other node."""
        union = self.resolve(node).get("discriminator")
        if union is None:
            return None
        components = {tag: self.resolve({"$ref": reference}) for tag, reference in union["mapping"].items()}
        return Variants(union["propertyName"], components)

    def component(self, node: Node, value: Any) -> Node:
        """The component of `value`, if a node has several; else the node."""
        variants = self.variants(node)
        if variants is None:
            return self.resolve(node)
        value = value if isinstance(value, dict) else node.get("default", {})
        tag = value.get(variants.property)
        return variants.components.get(tag, {}) if isinstance(tag, str) else {}

    def keys(self, node: Node, value: Any, prefix: str = "", *, closed: bool = True) -> Iterator[tuple[str, Node]]:
        """Every key of a group with its node, for the components that `value` chooses; without `kind`.

        A group that is null counts as one key if `closed`; else its keys follow.
        """
        variants = self.variants(node)
        for name, child in self.component(node, value).get("properties", {}).items():
            below = value.get(name) if isinstance(value, dict) else None
            shut = closed and below is None and child.get("default", "") is None
            if "properties" in self.component(child, below) and not shut:
                yield from self.keys(child, below, f"{prefix}{name}.", closed=closed)
            elif variants is not None and name == variants.property:
                if name != "kind":
                    yield f"{prefix}{name}", {"enum": list(variants.components), "default": child.get("default")}
            else:
                yield f"{prefix}{name}", child

    def elsewhere(self, name: str) -> str:
        """The end of a message about an unknown key: the keys with this name in other groups; nothing if none."""
        wanted = OTHER_NAMES.get(name, name)
        named = {found.key for found in self.all_keys() if found.key.rpartition(".")[2] == wanted}
        depth = min((key.count(".") for key in named), default=0)
        found = sorted(key for key in named if key.count(".") == depth)
        return f"; did you mean {' or '.join(map(repr, found))}?" if 0 < len(found) <= MOST_SUGGESTIONS else ""

    def all_keys(self) -> Iterator[AnyKey]:
        """Every key, whatever is chosen, but `kind`; a key of several components comes several times."""
        return self._below(AnyKey("", self.root))

    def _below(self, above: AnyKey) -> Iterator[AnyKey]:
        variants = self.variants(above.node)
        if variants is not None:
            yield from self._of_variants(above, variants)
            return
        for shape in self.shapes(self.resolve(above.node)):
            if self.variants(shape) is not None:
                yield from self._below(AnyKey(above.key, shape, above.choice))
            for name, child in shape.get("properties", {}).items():
                found = AnyKey(f"{above.key}.{name}".removeprefix("."), child, above.choice)
                yield found
                yield from self._below(found)

    def _of_variants(self, above: AnyKey, variants: Variants) -> Iterator[AnyKey]:
        tag_key = above.key
        if variants.property != "kind":
            tag_key, node = f"{above.key}.{variants.property}", {"enum": list(variants.components)}
            yield AnyKey(tag_key, {**node, "description": above.node.get("description", "")}, above.choice)
        for tag, component in variants.components.items():
            for found in self._below(AnyKey(above.key, component, f"{tag_key}={tag}")):
                if found.key != f"{above.key}.{variants.property}":
                    yield found

    def options(self, node: Node) -> list[Any]:
        """The values a key can have, if it is limited to a few."""
        if "const" in node:
            return [node["const"]]
        if node.get("type") in FEW:
            return FEW[node["type"]]
        if "anyOf" in node:
            options = [self.options(shape) for shape in node["anyOf"]]
            return [] if [] in options else [option for shape in options for option in shape]
        return list(node.get("enum", ()))

    def expected(self, node: Node) -> str:
        """The values a key accepts, in words: `a whole number of at least 1`, `one of categorical, sparse, null`."""
        options = self.options(node)
        if options:
            few = len(options) == 1 or node.get("type") == "boolean"
            return " or ".join(map(yaml_text, options)) if few else f"one of {', '.join(map(yaml_text, options))}"
        if "$ref" in node or "properties" in node:
            return f"a group of keys ({', '.join(self.resolve(node).get('properties', ()))})"
        variants = self.variants(node)
        if variants is not None:
            return f"a group of keys with {variants.property} one of {', '.join(variants.components)}"
        if "anyOf" in node or "oneOf" in node:
            shapes = node.get("anyOf") or node["oneOf"]
            return ", or ".join(map(self._expected_shape, shapes))
        return _expected(node)

    def _expected_shape(self, node: Node) -> str:
        """Like `expected`, without the list of components, which would hide the other alternatives."""
        variants = self.variants(node)
        return self.expected(node) if variants is None else f"a group of keys with a {variants.property}"


@cache
def json_schema(*, described: bool = False) -> Node:
    """The JSON schema of `Settings`: 13 ms; 0.1 s with descriptions, which are read from the source."""
    return Settings.model_json_schema(schema_generator=_Described if described else GenerateJsonSchema)


class _Described(GenerateJsonSchema):
    """A JSON schema in which the text below each field is its description."""

    def model_schema(self, schema: ModelSchema) -> dict[str, Any]:
        node = super().model_schema(schema)
        for name, field in node["properties"].items():
            text = _text_below(schema["cls"], name)
            if text is not None:
                field.setdefault("description", text)
        return node


def _text_below(component: type, name: str) -> str | None:
    """The text below a field, in the class that declares it last."""
    owner = next(cls for cls in component.__mro__ if name in inspect.get_annotations(cls))
    return _texts(owner.__module__).get((owner.__name__, name))


@cache
def _texts(module: str) -> dict[tuple[str, str], str]:
    """The texts below the fields of all classes of a module, by class and field."""
    tree = ast.parse(inspect.getsource(import_module(module)))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {(node.name, name): text for node in classes for name, text in _texts_of_class(node)}


def _texts_of_class(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)


def _expected(node: Node) -> str:
    kind = node.get("type")
    if kind in NUMBERS:
        return " ".join((NUMBERS[kind][0], *_limits(node)))
    if kind == "array":
        return _expected_list(node)
    if kind == "string":
        return FORMATS.get(node.get("format", ""), "text")
    return _expected_mapping(node) if kind == "object" else "something else"


def _expected_mapping(node: Node) -> str:
    values = node.get("additionalProperties")
    if isinstance(values, dict) and "discriminator" in values:
        return f"a mapping of names to groups of keys with a {values['discriminator']['propertyName']}"
    return f"a mapping of {_plural(values)}" if isinstance(values, dict) else "a mapping"


def _expected_list(node: Node) -> str:
    items: Node = node["prefixItems"][0] if "prefixItems" in node else node.get("items", {})
    noun = _plural(items)
    least, most = node.get("minItems"), node.get("maxItems")
    if least is not None and least == most:
        return f"a list of {least} {noun}"
    return f"a list of {least} or more {noun}" if least else f"a list of {noun}"


def _plural(node: Node) -> str:
    kind = node.get("type")
    if "$ref" in node:
        return "groups of keys"
    if kind == "array":
        return _expected_list(node).replace("a list", "lists", 1)
    if node.get("format") == "line":
        return FORMATS["line"].replace("text", "texts").replace(" it", " them")
    return " ".join((NUMBERS[kind][1], *_limits(node))) if kind in NUMBERS else "texts"


def _limits(node: Node) -> list[str]:
    limits = [f"{words} {yaml_text(node[name])}" for name, words in LIMITS.items() if name in node]
    return [" and ".join(limits)] if limits else []
