"""The word somebody meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: object, words: Iterable[str]) -> str | None:
    """The one of `words` most like `word`, whatever the case; None if none is much like it."""
    known = {candidate.lower(): candidate for candidate in words}
    found = get_close_matches(str(word).lower(), known, n=1)
    return known[found[0]] if found else None


def hint(word: object, words: Iterable[str], prefix: str = "") -> str:
    """`; did you mean …?`, or nothing; `prefix` is what the person typed before the word."""
    found = nearest(word, words)
    return f"; did you mean {prefix}{found}?" if found is not None and found != str(word) else ""
