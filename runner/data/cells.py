"""Cells of labels: the name of one class, and the forms in which people and their tools write several."""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

SEPARATORS = re.compile(r"[|,;]")

SEVERAL = re.compile(r"[|;]")
"""Separators that seldom stand within the name of one class."""

BRACKETS = {"[": "]", "(": ")", "{": "}"}

SCALAR = re.compile(r"\bnp\.\w+\(([^()]*)\)")
"""A number or text as NumPy 2 prints it: np.int64(3), np.str_('cat')."""

EMPTY = ("set()", "frozenset()")

SILENT = (tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.COMMENT)

CUT = "it was cut off (…) when the table was written"

NONE_OF_THEM = "it holds no list of names; write cat|dog, or ['cat', 'dog']"


def is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    return number_in(text) is not None


def number_in(text: str) -> float | None:
    """The finite number that a text is; None if it is none.

    >>> number_in("1e3"), number_in("cat"), number_in("nan")
    (1000.0, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


DECIMAL_COMMA = re.compile(r"\s*([-+]?\d[\d.]*),(\d+)\s*")


def with_decimal_point(text: str) -> str | None:
    """A number that is written with a decimal comma, with a point instead; None for other texts.

    >>> with_decimal_point("1,5"), with_decimal_point("-1.234,56"), with_decimal_point("1,5,2")
    ('1.5', '-1234.56', None)
    """
    found = DECIMAL_COMMA.fullmatch(text)
    return f"{found[1].replace('.', '')}.{found[2]}" if found else None


def class_text(cell: Any) -> str:
    """The name of a class: text as it stands; a whole number has no decimal point, whatever its type."""
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "surrogateescape")
    return str(int(cell)) if isinstance(cell, float | np.floating) and float(cell).is_integer() else str(cell)


def number_text(text: str) -> str:
    """The name that earlier versions gave to a class whose text is a number.

    >>> number_text("001"), number_text("1E3"), number_text("1.10"), number_text("cat")
    ('1', '1000', '1.1', 'cat')
    """
    number = number_in(text)
    return text if number is None else class_text(number)


def is_list(cell: Any) -> bool:
    """Whether a cell holds a list: a sequence, or text such as ['cat', 'dog'], {'cat'}, (1, 2), [], but not (large)."""
    if isinstance(cell, tuple | list | set | frozenset | dict | np.ndarray):
        return True
    text = class_text(cell).strip()
    if not _is_bracketed(text):
        return text in EMPTY
    inner = text[1:-1].strip()
    quoted = any(quote in inner for quote in "'\"")
    return quoted or (text[0] != "(" and (not inner or bool(SEPARATORS.search(inner)))) or _are_numbers(inner)


def _are_numbers(inner: str) -> bool:
    words = SEPARATORS.sub(" ", inner).split()
    return len(words) > 1 and all(map(is_number, words))


def _is_bracketed(text: str) -> bool:
    return len(text) > 1 and BRACKETS.get(text[0]) == text[-1]


def class_list(cell: Any) -> list[str]:
    """The classes of one cell: a sequence, or text.

    Text may be `cat|dog`, `cat, dog`, `cat;dog`, or what Python, NumPy and JSON write: `['cat', 'dog']`,
    `('cat', 'dog')`, `{'cat', 'dog'}`, `['cat' 'dog']`, `[0 1]`, `[]`. Raises `ValueError` with the reason otherwise.

    >>> class_list("cat;dog"), class_list("('cat', 'dog')"), class_list("['polar bear' 'dog']"), class_list("[0. 1.]")
    (['cat', 'dog'], ['cat', 'dog'], ['polar bear', 'dog'], ['0.', '1.'])
    """
    if isinstance(cell, set | frozenset):
        return sorted(map(class_text, cell))
    if isinstance(cell, tuple | list | np.ndarray):
        return [_member(member) for member in cell]
    if isinstance(cell, dict):
        raise ValueError(NONE_OF_THEM)
    text = class_text(cell).strip()
    if text in EMPTY:
        return []
    inner = SCALAR.sub(r"\1", text[1:-1]) if _is_bracketed(text) else None
    if inner is None:
        return [name for part in SEPARATORS.split(text) if (name := part.strip().strip("'\""))]
    if "'" in inner or '"' in inner:
        return list(_quoted(inner))
    if "..." in inner:
        raise ValueError(CUT)
    if any(bracket in inner for bracket in "[]{}") or (text[0] == "{" and ":" in inner):
        raise ValueError(NONE_OF_THEM)
    parts = inner.split() if _are_numbers(inner) and not SEPARATORS.search(inner) else SEPARATORS.split(inner)
    return [name for part in parts if (name := part.strip())]


def _member(member: Any) -> str:
    if member is None or member != member or (isinstance(member, tuple | list | dict | np.ndarray)):  # NaN differs
        raise ValueError(NONE_OF_THEM)
    return class_text(member)


def _quoted(inner: str) -> Iterable[str]:
    """The quoted texts between brackets, by Python's own tokens; nothing else may stand there but separators."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(f"({inner})").readline))[1:]
        for token in tokens:
            if token.type == tokenize.STRING:
                yield class_text(ast.literal_eval(token.string))
            elif token.string == "...":
                raise ValueError(CUT)
            elif token.type not in SILENT and token.string not in (",", "|", ";", ")"):
                raise ValueError(NONE_OF_THEM)
    except (tokenize.TokenError, SyntaxError) as error:
        raise ValueError(NONE_OF_THEM) from error


MARKS = {"0": 0, "1": 1, "False": 0, "True": 1}


def marks(rows: Sequence[Sequence[str]]) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """Rows of 0 and 1, one value per class, shape `(n, classes)`; None if the rows are something else, such as names.

    A row such as 1, 1, 0 cannot be a list of names, which would be there once each.

    >>> marks([["1", "0"], ["1", "1"]]).tolist(), marks([["1", "2"]]), marks([["1"], ["0", "1"]])
    ([[1, 0], [1, 1]], None, None)
    """
    if not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return None
    values = [[MARKS.get(number_text(value)) for value in row] for row in rows]
    return None if any(None in row for row in values) else np.array(values, np.uint8)
