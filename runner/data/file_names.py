"""Names of files: which text can be one, two names of one file, and names in another Unicode form than the file's."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from pathlib import Path

from runner.data.ids import Ids
from runner.messages import first_few

OTHER_SPELLINGS = ("./", "/.", "//")
"""Parts of ids that may name a file which another id names as well."""


def is_file_name(name: str) -> bool:
    """Whether a file can have this name: it has no NUL, and no half of a surrogate pair, as broken JSON has.

    >>> is_file_name("café.png"), is_file_name("a" + chr(0)), is_file_name(chr(0xD800))
    (True, False, False)
    """
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def same_files(folder: Path, ids: Ids) -> list[str]:
    """Texts about the ids that name the same file below `folder` in other words: `a.png (also ./a.png)`.

    Links are not followed. Ids without dots and double slashes, all of them relative or all absolute, are not compared.
    """
    base = os.fspath(folder.absolute())
    one_form = base not in ids.text or all(name.startswith("/") for name in ids)
    if one_form and not any(part in ids.text for part in OTHER_SPELLINGS):
        return []
    paths = Ids(posixpath.normpath(posixpath.join(base, name)) for name in ids)
    several = set(paths.repeated())
    names: dict[str, list[str]] = {}
    for name, path in zip(ids, paths, strict=True) if several else ():
        if path in several:
            names.setdefault(path, []).append(name)
    return [f"{first} (also {first_few(others)})" for first, *others in names.values()]


def as_on_disk(folder: Path, ids: Ids, suffix: str = "") -> Ids:
    """The ids, with names that are on disk in another Unicode form as they are there: é in one character or in two.

    A table written on a Mac may name files in another form than the disk has. Names that are not found stay.
    """
    if ids.text.isascii():
        return ids
    disk = _Disk(os.fspath(folder))
    return Ids(name if name.isascii() else disk.name(name + suffix).removesuffix(suffix) for name in ids)


class _Disk:
    """Names below a folder; each folder in it is listed once."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._listed: dict[str, dict[str, str]] = {}

    def name(self, path: str) -> str:
        """A path, relative to the folder or absolute, as it is on disk."""
        if path.isascii():
            return path
        outer, last = posixpath.split(path)
        outer = self.name(outer)
        names = self._names(outer)
        return posixpath.join(outer, names.get(last) or names.get(composed(last), last))

    def _names(self, outer: str) -> dict[str, str]:
        if outer not in self._listed:
            try:
                entries = os.listdir(posixpath.join(self._folder, outer))  # noqa: PTH208  (a Path for each costs seconds)
            except OSError:
                entries = []
            self._listed[outer] = {composed(name): name for name in entries} | {name: name for name in entries}
        return self._listed[outer]


def composed(name: str) -> str:
    """A name with each accented letter as one character, the form of most systems but the Mac's."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
