"""The format of packs: names of files and members, the columns of the index, and pack.json.

A pack is a folder. Each split has shards of its own, plain ustar files whose members are numbered by their position in
the split. index.parquet has a row for each sample, in the order of the source; pack.json says what the samples are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from runner.batch import Array
from runner.component import Package

VERSION = 1
"""The version of the format; a pack of another one is refused."""

PACK_JSON, INDEX, BEGUN = "pack.json", "index.parquet", ".pack.json"
"""Names of the files of a pack next to its shards. A pack that is not whole has the last in place of pack.json."""

BLOCK = 512
"""Bytes of a header of tar, to whose multiples contents are filled up."""

MOST_WORD = 40
"""The longest name of a field in the name of a member; ustar has room for 100 bytes."""
SUFFIX = re.compile(r"\.[a-z0-9]{1,7}")
OTHER_SUFFIX = ".bin"
"""The suffix of members whose file has none, or a strange one."""


def pyarrow_for(choice: str) -> Package:
    """The package that reads and writes the index."""
    return Package(choice, "pyarrow", "parquet", "read the samples from where they are")


def shard_name(split: str, number: int) -> str:
    """The file name of a shard.

    >>> shard_name("train", 12)
    'train-000012.tar'
    """
    return f"{split}-{number:06}.tar"


def member_name(position: int, word: str, suffix: str) -> str:
    """The name of a member: the sample's position in its split, the field if there are several, and the suffix.

    >>> member_name(12, "", ".jpg"), member_name(12, "mask", ".png")
    ('000000012.jpg', '000000012.mask.png')
    """
    return f"{position:09}.{word}{suffix}" if word else f"{position:09}{suffix}"


def member_suffix(file: str) -> str:
    """The suffix of a member with the content of `file`, in lower case.

    >>> member_suffix("a/1.JPG"), member_suffix("a/1"), member_suffix("a.b/1.j g")
    ('.jpg', '.bin', '.bin')
    """
    suffix = PurePath(file).suffix.lower()
    return suffix if SUFFIX.fullmatch(suffix) else OTHER_SUFFIX


def field_words(names: Iterable[str]) -> tuple[str, ...]:
    """Names of fields as they stand in names of members and columns: letters, digits, _ and -, each once.

    >>> field_words(["image", "before/after", "before after", ""])
    ('image', 'before_after', 'before_after_2', '')
    """
    words: list[str] = []
    for number, name in enumerate(names):
        word = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:MOST_WORD]
        words.append(f"{word}_{number}" if word in words else word)
    return tuple(words)


def column_name(kind: str, name: str) -> str:
    """The column of the index with sizes, digests or labels of a field or target; one without a name needs none.

    >>> column_name("size", ""), column_name("size", "mask")
    ('size', 'size_mask')
    """
    return f"{kind}_{name}" if name else kind


def padded(num_bytes: int) -> int:
    """Bytes that a content takes in a tar file.

    >>> padded(0), padded(1), padded(512), padded(513)
    (0, 512, 512, 1024)
    """
    return -(-num_bytes // BLOCK) * BLOCK


def padded_sizes(sizes: Array) -> Array:
    """From the offset of each member to that of the next, shape `(n,)`: its content, and the header of the next."""
    return -(-sizes // BLOCK) * BLOCK + BLOCK


@dataclass(frozen=True)
class PackField:
    """One array of a sample: its name, the word for it in names of members, and what the loader makes of it."""

    name: str
    word: str
    holds: str
    """`image`: an image file; `mask`: the image file of a mask; `array`: an .npy file."""
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> PackField:
        """The field from its section of pack.json."""
        return cls(**{**document, "shape": tuple(document["shape"])})
