"""Words of messages: suggestions, lists, counts, sizes, shapes and values, written in one way everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import IO, Any

MOST_ITEMS = 5


def nearest(word: object, words: Iterable[str]) -> str | None:
    """The closest match for `word` among `words`, ignoring case; None if nothing is close."""
    known = {candidate.lower(): candidate for candidate in words}
    found = get_close_matches(str(word).lower(), known, n=1)
    return known[found[0]] if found else None


def did_you_mean(word: object, words: Iterable[str], prefix: str = "") -> str:
    """The end of a message about an unknown `word`: a suggestion, or nothing if no word is close.

    `prefix` is put before the suggestion: the group of a value, or the path of a nested key.

    >>> did_you_mean("sead", ["seed", "name"]), did_you_mean("cnm", ["cnn"], "model="), did_you_mean("x", ["name"])
    ("; did you mean 'seed'?", "; did you mean 'model=cnn'?", '')
    """
    found = nearest(word, words)
    return f"; did you mean '{prefix}{found}'?" if found is not None and found != str(word) else ""


def first_few(items: Iterable[object], total: int | None = None, most: int = MOST_ITEMS, separator: str = ", ") -> str:
    """The first `most` of `items`, and how many more there are; `total` is their number where `items` holds fewer.

    >>> first_few("abcd"), first_few("abcdefg"), first_few("ab", 1_002), first_few("")
    ('a, b, c, d', 'a, b, c, d, e and 2 more', 'a, b and 1,000 more', 'none')
    """
    remaining = iter(items)
    shown = [str(item) for item in islice(remaining, most)]
    rest = (sum(1 for _ in remaining) if total is None else total - len(shown)) if shown else 0
    return (separator.join(shown) or "none") + (f" and {rest:,} more" if rest > 0 else "")


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun in the right number; `nouns` is the plural where it does not end in s alone.

    >>> plural(1, "epoch"), plural(1_276, "sample"), plural(2, "class", "classes")
    ('1 epoch', '1,276 samples', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def shape_text(shape: Sequence[int]) -> str:
    """A shape such as 8×8×1.

    >>> shape_text((8, 8, 1)), shape_text((3,)), shape_text(())
    ('8×8×1', '3', 'a single number')
    """
    return "×".join(map(str, shape)) or "a single number"


def format_bytes(count: float) -> str:
    """A size in decimal units.

    >>> format_bytes(12), format_bytes(86_000), format_bytes(3e12)
    ('12 B', '86.0 kB', '3.0 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration_text(seconds: float) -> str:
    """A duration in whole seconds, minutes, hours or days.

    >>> duration_text(7.4), duration_text(150), duration_text(9_000), duration_text(3e5)
    ('7 s', '2 min', '2 h', '3 d')
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line ends, characters that reverse the direction, and bytes of names that are not UTF-8."""


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of a terminal, broken between words; a command stays on one line, to be copied.

    >>> wrapped("set loader.cache=memory", 20), wrapped("or try: python -m runner seed=3 loader=auto", 20)
    (['set', 'loader.cache=memory'], ['or try:', 'python -m runner seed=3 loader=auto'])
    """
    import textwrap

    words, command, rest = text.partition("python -m ")
    lines = textwrap.wrap(words, max(width, 20), break_long_words=False, break_on_hyphens=False)
    return [*lines, command + rest] if command else lines or [text]


def lines_for(stream: IO[str], text: str, indent: int = 0) -> list[str]:
    """The text in lines for a stream, `wrapped` if that is a terminal, else as one line."""
    if not stream.isatty():
        return [text]
    import shutil

    return wrapped(text, shutil.get_terminal_size().columns - indent)


def printable(text: str) -> str:
    r"""A text for a terminal, a table or a log; characters that would do something there are escaped.

    Names of files and classes come from anyone, and may hold anything.

    >>> print(printable("a\x1b[2J\nb\udce9"))
    a\x1b[2J\nb\udce9
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def yaml_text(value: Any) -> str:
    """A value as YAML writes it, on one line; a text without quotes, unless it is empty.

    >>> yaml_text(None), yaml_text(True), yaml_text([1, "a"]), yaml_text({"epochs": 3}), yaml_text("a"), yaml_text("")
    ('null', 'true', "[1, 'a']", '{epochs: 3}', 'a', "''")
    """
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(quoted, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {quoted(item)}' for key, item in value.items())}}}"
    return json.dumps(value, default=str)


def quoted(value: Any) -> str:
    """A value as `yaml_text` writes it; a text in quotes.

    >>> quoted("fast"), quoted(3)
    ("'fast'", '3')
    """
    return repr(value) if isinstance(value, str) else yaml_text(value)
