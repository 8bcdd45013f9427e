"""How `mode=pack` writes a pack."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from runner.component import Component, Folder, PositiveInt

Order = Literal["shuffled", "kept"]

JPEG = r"jpeg:(?:[1-9]\d?|100):[1-9]\d{0,4}"
"""JPEG with a quality from 1 to 100, and the length of the shorter side."""

MIB = 1 << 20


class PackSettings(Component):
    """Keys of `mode=pack`."""

    to: Folder | None = None
    """The folder to write the pack to; a pack that was stopped continues there."""

    shard_mb: PositiveInt = 1024
    """The size of a shard in MiB; a sample that is larger has a shard of its own."""

    order: Order = "shuffled"
    """Order of the samples inside a split: `shuffled` by a hash of (pack.seed, id), which needs free space for one more
    copy while it is written, unless the data is small; or `kept`, the order of the data."""

    encode: Annotated[str, Field(pattern=rf"^(keep|npy|{JPEG})$", json_schema_extra={"format": "encoding"})] = "keep"
    """What a pack holds: `keep`, the bytes of the files; `jpeg:90:256`, images of JPEG quality 90 whose shorter side
    has 256 pixels, where it was longer; `npy`, the arrays that a loader reads, of any data."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of pack.order=shuffled; independent of `seed`."""

    @property
    def kind(self) -> str:
        """What is done to the samples: `keep`, `jpeg` or `npy`."""
        return self.encode.partition(":")[0]

    @property
    def jpeg(self) -> tuple[int, int]:
        """Quality and length of the shorter side, with `jpeg`."""
        _, quality, side = self.encode.split(":")
        return int(quality), int(side)

    @property
    def shard_bytes(self) -> int:
        """The size of a shard in bytes."""
        return self.shard_mb * MIB
