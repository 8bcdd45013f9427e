"""Labels of samples in tar files: the contents of their `.cls`, `.txt` or `.json` members."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.data.tar_index import TarIndex
from runner.errors import DataError
from runner.messages import did_you_mean, first_few


def label_texts(file: Path, index: TarIndex, suffix: str, key: str | None) -> list[str]:
    """The label of each sample as text, from its member with this suffix; `key` chooses one of a JSON object.

    Raises `DataError` for a sample without such a member, or a label that is no text and no number.
    """
    found: dict[int, str] = {}
    number = index.suffixes.index(suffix) if suffix in index.suffixes else -1
    for sample, content in index.contents(number):
        where = f"{file}: {index.keys[sample]}.{suffix}"
        found[sample] = _from_json(content, key, where) if suffix.endswith("json") else content.strip()
        if not found[sample]:
            raise DataError(f"{where} must hold a label, got an empty or a very long text")
    if missing := [name for sample, name in enumerate(index.keys) if sample not in found]:
        raise DataError(f"{file}: each sample must have a label, a member {suffix}, got none for {first_few(missing)}")
    return [found[sample] for sample in range(len(index.keys))]


def _from_json(content: str, key: str | None, where: str) -> str:
    try:
        value: Any = json.loads(content)
    except ValueError as error:
        raise DataError(f"{where} must hold JSON, got {first_few([content.strip()[:40]])}: {error}") from error
    if isinstance(value, dict):
        if key is None:
            raise DataError(f"{where} holds {first_few(value)}; name the label among them with data.label_key")
        value = _at(value, key, where)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{where} must hold a text or a number as its label, got {first_few([str(value)[:40]])}")
    return str(value).strip()


def _at(value: Any, key: str, where: str) -> Any:
    """The value at `key` of an object, or at its parts in objects within objects: `labels.species`."""
    if key in value:
        return value[key]
    first, _, rest = key.partition(".")
    if not rest or not isinstance(value.get(first), dict):
        raise DataError(f"{where} must have data.label_key={key}, got {first_few(value)}{did_you_mean(first, value)}")
    return _at(value[first], rest, where)


def named_classes(texts: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Labels as names: class numbers 0 to n - 1 stand for `classes`, unless labels are names of classes.

    >>> named_classes(["1", "0"], ("cat", "dog"))
    ['dog', 'cat']
    """
    if set(texts) & set(classes):
        return list(texts)
    numbers = {str(number): name for number, name in enumerate(classes)}
    return [numbers.get(text, text) for text in texts]
