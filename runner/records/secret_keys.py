"""Secrets in a configuration: values of keys that look like secrets, and passwords in addresses.

`config.yaml` keeps them, because `resume` and `rerun` need them; so does `sweep.json`, for `sweep.resume`. They are
masked in what is shown and passed on, by `masked`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

MASK = "***"
LEAST_CHARACTERS = 6
"""Shorter values are masked in place only: they may be a part of any other text."""

WORDS = frozenset(
    ("token", "password", "passwd", "passphrase", "pwd", "secret", "key", "apikey", "credential", "credentials", "auth")
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
# It looks from the beginning of a word only: from each letter, a digest would take 64 times as long.
_NAME = rf"(?<![\w.-])([\w.-]*(?:{'|'.join(sorted(WORDS))})[\w.-]*)"
_VALUE = r"""('[^']*'|"[^"]*"|[^\s,{}\[\]]+)"""
_SETTING = re.compile(rf"{_NAME}(=){_VALUE}", re.IGNORECASE)
_ENTRY = re.compile(rf"{_NAME}(\s*[:=]\s*){_VALUE}", re.IGNORECASE)
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
            key: _masked(value, known, is_secret=is_secret or looks_secret(str(key))) for key, value in document.items()
        }
    if isinstance(document, list | tuple):
        items = [_masked(value, known, is_secret=is_secret) for value in document]
        return [_masked_word(item) if isinstance(item, str) else item for item in items]
    if is_secret and document is not None and not isinstance(document, bool):
        return MASK
    return masked_text(document, known) if isinstance(document, str) else document


def _masked_word(word: str) -> str:
    """A text in a list, which may be a word of a command line: `data.arguments.token=x,y`."""
    key, sign, _ = word.partition("=")
    return f"{key}={MASK}" if sign and looks_secret(key) else word


def _masked_entry(entry: re.Match[str]) -> str:
    return f"{entry[1]}{entry[2]}{MASK}" if looks_secret(entry[1]) else entry[0]


def masked_text(text: str, known: Iterable[str]) -> str:
    """A text without values of secret keys (`token=x`, `login={token: x}`), passwords in addresses, `known` secrets."""
    for value in known:
        text = text.replace(value, MASK)
    text = (_ENTRY if "={" in text or "=[" in text else _SETTING).sub(_masked_entry, text)
    return _PASSWORD.sub(rf"\1:{MASK}@", text)


def mask_files(files: Iterable[Path], values: Iterable[str]) -> None:
    """Mask secrets in YAML files, in place."""
    known = list(values)
    for file in files:
        before = yaml.safe_load(file.read_text(encoding="utf-8"))
        if (after := masked(before, known)) != before:
            file.write_text(yaml.safe_dump(after, sort_keys=False, allow_unicode=True), encoding="utf-8")
