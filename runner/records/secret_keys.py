"""Secrets in a configuration: values of keys that look like secrets, and passwords in addresses.

`config.yaml` keeps them, because `resume` and `rerun` need them; so does `sweep.json`, for `sweep.resume`. They are
masked in what is shown and passed on, by `masked`.
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
TYPED = ("argv", "overrides", "typed")
"""Keys of lists of words of a command line."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_ENTRY = re.compile(r"""([\w.-]+)(\s*[:=]\s*)('[^']*'|"[^"]*"|[^\s,{}\[\]]+)""")
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
    >>> masked({"overrides": ["seed=3", "data.arguments={api_token: abc, size: 3}", "data.arguments.token=abc,def"]})
    {'overrides': ['seed=3', 'data.arguments={api_token: ***, size: 3}', 'data.arguments.token=***']}
    """
    return _masked(document, _longest_first(values), is_secret=False)


def masked_value(key: str, value: Any, values: Iterable[str] = ()) -> Any:
    """The value of a dotted key as `masked` shows it.

    >>> masked_value("data.arguments.token", "abc"), masked_value("seed", 3)
    ('***', 3)
    """
    return masked({key: value}, values)[key]


def _longest_first(values: Iterable[str]) -> list[str]:
    return sorted({value for value in values if len(value) >= LEAST_CHARACTERS}, key=len, reverse=True)


def _masked(document: Any, known: list[str], *, is_secret: bool) -> Any:
    if isinstance(document, Mapping):
        return {
            key: [_masked_word(str(word), known) for word in value]
            if key in TYPED and isinstance(value, list | tuple)
            else _masked(value, known, is_secret=is_secret or looks_secret(str(key)))
            for key, value in document.items()
        }
    if isinstance(document, list | tuple):
        return [_masked(value, known, is_secret=is_secret) for value in document]
    if is_secret and document is not None and not isinstance(document, bool):
        return MASK
    return masked_text(document, known) if isinstance(document, str) else document


def _masked_word(word: str, known: list[str]) -> str:
    """A word of a command line, such as `seed=3`."""
    key, sign, value = word.partition("=")
    if sign and looks_secret(key):
        return f"{key}={MASK}"
    if value.startswith(("{", "[")):
        word = _ENTRY.sub(lambda entry: f"{entry[1]}{entry[2]}{MASK}" if looks_secret(entry[1]) else entry[0], word)
    return masked_text(word, known)


def masked_text(text: str, known: Iterable[str]) -> str:
    """A text without passwords in addresses, and without the `known` secrets, longest first."""
    for value in known:
        text = text.replace(value, MASK)
    return _PASSWORD.sub(rf"\1:{MASK}@", text)


def mask_files(files: Iterable[Path], values: Iterable[str]) -> None:
    """Mask secrets in text files, in place."""
    known = _longest_first(values)
    for file in files:
        before = file.read_text(encoding="utf-8")
        if (after := masked_text(before, known)) != before:
            file.write_text(after, encoding="utf-8")
