"""The heads of a model in run.json: what it tells apart, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from runner.data.labels import Head


def heads_document(heads: Iterable[Head]) -> list[dict[str, Any]]:
    """The heads as plain values."""
    return [asdict(head) for head in heads]


def read_heads(documents: Iterable[Mapping[str, Any]]) -> tuple[Head, ...]:
    """The heads as they were: JSON has lists where they have tuples."""
    return tuple(Head(**{name: _tuple(value) for name, value in document.items()}) for document in documents)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
