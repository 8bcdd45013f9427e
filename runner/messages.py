"""The word somebody meant.

Lists in messages: the first few, and that there are more.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice


def nearest(word: object, words: Iterable[str]) -> str | None:
    """The one of `words` most like `word`, whatever the case; None if none is much like it."""
    known = {candidate.lower(): candidate for candidate in words}
    found = get_close_matches(str(word).lower(), known, n=1)
    return known[found[0]] if found else None


def hint(word: object, words: Iterable[str], prefix: str = "") -> str:
    """`; did you mean …?`, or nothing; `prefix` is what the person typed before the word."""
    found = nearest(word, words)
    return f"; did you mean {prefix}{found}?" if found is not None and found != str(word) else ""


MOST = 5


def some(items: Iterable[str], total: int | None = None, most: int = MOST) -> str:
    """The first `most` of `items`, and an ellipsis if there are more, or more in `total` than were given.

    >>> some("abcdef"), some("ab", 7), some("")
    ('a, b, c, d, e, …', 'a, b, …', 'none')
    """
    shown = list(islice(items, most + 1))
    more = len(shown) > most or (total is not None and total > len(shown))
    return (", ".join(shown[:most]) or "none") + (", …" if more else "")
