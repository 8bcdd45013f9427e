"""Nested mappings read by dotted keys such as `train.epochs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flat(document: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys and values of nested mappings; a list or an empty mapping is one value.

    >>> dict(flat({"train": {"epochs": 3, "sizes": [1, 2]}, "data": {}}))
    {'train.epochs': 3, 'train.sizes': [1, 2], 'data': {}}
    """
    if isinstance(document, Mapping) and (document or not prefix):
        for key, value in document.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, document


def flat_items(document: Any) -> Iterator[tuple[str, Any]]:
    """Like `flat`, with the keys of the mappings in a list, as `value_at` takes them.

    >>> dict(flat_items({"train": {"phases": [{"epochs": 3}, {"epochs": 9}], "metrics": []}}))
    {'train.phases[0].epochs': 3, 'train.phases[1].epochs': 9, 'train.metrics': []}
    """
    for key, value in flat(document):
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                yield from ((f"{key}[{number}].{part}", content) for part, content in flat_items(item))
        else:
            yield key, value


def is_unset(key: str, value: Any) -> bool:
    """Whether a value says no more than that its key is not set: none, an empty text, and a zero of an item of a list.

    A phase of a training has all keys of its augmentation, most of which are 0.0.
    """
    return value is None or value == "" or ("]." in key and isinstance(value, float) and value == 0)


def value_at(document: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key of nested mappings, or with `[0]` of an item of a list; None if there is none.

    >>> value_at({"train": {"epochs": 3}}, "train.epochs"), value_at({"phases": [{"epochs": 3}]}, "phases[0].epochs")
    (3, 3)
    """
    value: Any = document
    for part in key.replace("[", ".[").split("."):
        if isinstance(value, list) and (index := part[1:-1]).isdecimal() and int(index) < len(value):
            value = value[int(index)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return None
    return value
