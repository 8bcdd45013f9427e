"""Lists in messages: the first few, and that there are more."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

MOST = 5


def some(items: Iterable[str], total: int | None = None, most: int = MOST) -> str:
    """The first `most` of `items`, and an ellipsis if there are more, or more in `total` than were given.

    >>> some("abcdef"), some("ab", 7), some("")
    ('a, b, c, d, e, …', 'a, b, …', 'none')
    """
    shown = list(islice(items, most + 1))
    more = len(shown) > most or (total is not None and total > len(shown))
    return (", ".join(shown[:most]) or "none") + (", …" if more else "")
