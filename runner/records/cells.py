"""Cells of CSV tables that hold text of other people: a spreadsheet must not compute them, and a reader gets them back.

A cell that a spreadsheet would take for a formula begins with an apostrophe, which it does not show.
"""

from __future__ import annotations

import re

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Beginnings of a formula, also in their full-width forms, and characters that spreadsheets drop before one."""

QUOTE = "'"
BEGINNINGS = frozenset((*FORMULA, QUOTE))
"""A text that begins with none of these is written as it is."""
_UNDECODED = re.compile(r"\\udc([89a-f][0-9a-f])")


def to_cell(value: object) -> object:
    """A value to write; a text that begins like a formula, and is no number, gets an apostrophe.

    >>> to_cell("=1+1"), to_cell("-0.5"), to_cell("'-x"), to_cell("it's"), to_cell(-1)
    ("'=1+1", '-0.5', "''-x", "it's", -1)
    """
    if not isinstance(value, str) or not value.lstrip(QUOTE).startswith(FORMULA):
        return value
    return value if _is_number(value) else QUOTE + value


def from_cell(text: str) -> str:
    r"""The text that `to_cell` was given, with the bytes of a file name that are not UTF-8.

    >>> from_cell("'=1+1"), from_cell("''-x"), from_cell("'quoted'"), from_cell("caf\\udce9")
    ('=1+1', "'-x", "'quoted'", 'caf\udce9')
    """
    if text.startswith(QUOTE) and text.lstrip(QUOTE).startswith(FORMULA):
        text = text[1:]
    return _UNDECODED.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text) if "\\udc" in text else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
