"""Secrets in a configuration: values of keys that look like secrets, and passwords in addresses.

`config.yaml` keeps them, because `resume` and `rerun` need them. They are masked in what is shown and passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MASK = "***"
LEAST_CHARACTERS = 6
"""Shorter values are masked in place only: they may be a part of any other text."""

WORDS = frozenset(
    ("token", "password", "passwd", "passphrase", "pwd", "secret", "key", "apikey", "credential", "credentials", "auth")
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")


def looks_secret(key: str) -> bool:
    """Whether the name of a key has the word of a secret.

    >>> [looks_secret(key) for key in ("token", "api_key", "dbPassword", "tokenizer", "keys", "monitor")]
    [True, True, True, False, False, False]
    """
    return any(word.lower() in WORDS for word in _WORD.findall(key))


def secret_values(document: Any, *, is_secret: bool = False) -> Iterator[str]:
    """The secrets in a configuration that are texts, and the passwords of its addresses."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from secret_values(value, is_secret=is_secret or looks_secret(str(key)))
    elif isinstance(document, list | tuple):
        for value in document:
            yield from secret_values(value, is_secret=is_secret)
    elif isinstance(document, str) and is_secret:
        yield document
    elif isinstance(document, str):
        yield from (match[2] for match in _PASSWORD.finditer(document))


def masked(document: Any, values: Iterable[str] = ()) -> Any:
    """A copy of plain values without secrets; `values` are masked wherever a text contains them.

    >>> masked({"token": "abc", "uri": "http://me:pass@host/x", "note": "uses abcdef"}, ["abcdef"])
    {'token': '***', 'uri': 'http://me:***@host/x', 'note': 'uses ***'}
    """
    known = sorted({value for value in values if len(value) >= LEAST_CHARACTERS}, key=len, reverse=True)
    return _masked(document, known, is_secret=False)


def _masked(document: Any, known: list[str], *, is_secret: bool) -> Any:
    if isinstance(document, Mapping):
        return {
            key: _masked(value, known, is_secret=is_secret or looks_secret(str(key))) for key, value in document.items()
        }
    if isinstance(document, list | tuple):
        return [_masked(value, known, is_secret=is_secret) for value in document]
    if is_secret and document is not None and not isinstance(document, bool):
        return MASK
    return masked_text(document, known) if isinstance(document, str) else document


def masked_text(text: str, known: Iterable[str]) -> str:
    """A text without passwords in addresses, and without the `known` secrets, longest first."""
    for value in known:
        text = text.replace(value, MASK)
    return _PASSWORD.sub(rf"\1:{MASK}@", text)


def mask_files(files: Iterable[Path], values: Iterable[str]) -> None:
    """Mask secrets in text files, in place."""
    known = sorted({value for value in values if len(value) >= LEAST_CHARACTERS}, key=len, reverse=True)
    for file in files:
        before = file.read_text(encoding="utf-8")
        if (after := masked_text(before, known)) != before:
            file.write_text(after, encoding="utf-8")
