"""How close an order by blocks comes to what a spinning disk can give: 12.7 ms a seek, 220 MB/s, simulated.

python benchmarks/spinning_disk.py [--samples 4000] [--kb 110]

The disk has a head: a read that does not begin where the last one ended waits for a seek, and reads take turns. So each
time is that of the model, seek + bytes / bandwidth, plus whatever the loader wastes. Samples are not decoded.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec
from runner.data.labels import NO_LABELS
from runner.data.places import FilePlaces, MemberPlaces
from runner.data.source import Source
from runner.data.stored_samples import StoredSamples
from runner.images.decoder import Decoder
from runner.loaders.blocks import MEBIBYTE, cut_blocks
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.place import Bytes

SEEK_SECONDS, BYTES_PER_SECOND = 0.0127, 220e6
SHARDS, BATCH, WORKERS = 4, 32, 2
FEW = 300
"""Samples to read one by one: more say nothing new."""


class Disk:
    """Makes every `os.pread` and `os.preadv` of this process take as long as on a spinning disk."""

    def __init__(self) -> None:
        self._lock, self._head, self._busy_until = threading.Lock(), (0, -1), 0.0
        self.seeks = self.bytes = 0
        self._pread, self._preadv = os.pread, os.preadv
        os.pread, os.preadv = self._slow(self._pread, len), self._slow(self._preadv, int)

    def _slow(self, read: Callable[..., Any], size_of: Callable[[Any], int]) -> Callable[..., Any]:
        def slow(descriptor: int, what: Any, offset: int, *flags: int) -> Any:
            with self._lock:
                began = time.perf_counter()
                result = read(descriptor, what, offset, *flags)
                self._wait(began, os.fstat(descriptor).st_ino, offset, size_of(result))
                return result

        return slow

    def _wait(self, began: float, file: int, offset: int, size: int) -> None:
        is_seek = self._head != (file, offset)
        self._head = (file, offset + size)
        self.seeks, self.bytes = self.seeks + is_seek, self.bytes + size
        # Sleeping is late by a part of a millisecond; the next read makes up for it.
        self._busy_until = max(self._busy_until, began - 0.002) + size / BYTES_PER_SECOND + is_seek * SEEK_SECONDS
        if (rest := self._busy_until - time.perf_counter()) > 0:
            time.sleep(rest)


@dataclass(frozen=True)
class First(Decoder):
    """The first byte of a sample."""

    spec = ArraySpec((1,), np.dtype(np.uint8))

    def decode(self, data: Bytes, name: str, out: Array) -> None:
        """Take one byte."""
        out[0] = data[0]


def make(folder: Path, num_samples: int, num_bytes: int) -> tuple[Source, Source]:
    """The same samples in large files, in a random order, and in a file each."""
    rng = np.random.default_rng(0)
    names = tuple(f"{index:06d}.jpg" for index in range(num_samples))
    file, (offset, size) = np.zeros(num_samples, np.int32), np.zeros((2, num_samples), np.int64)
    shards = tuple(folder / f"train-{number}.tar" for number in range(SHARDS))
    (folder / "files").mkdir()
    for number, members in enumerate(np.array_split(rng.permutation(num_samples), SHARDS)):
        with shards[number].open("wb") as shard:
            for index in members.tolist():
                data = rng.bytes(round(num_bytes * rng.lognormal(0, 0.3)))
                (folder / "files" / names[index]).write_bytes(data)
                shard.write(b"\0" * 512)
                file[index], offset[index], size[index] = number, shard.tell(), shard.write(data)
    packed = StoredSamples(MemberPlaces(tuple(map(str, shards)), file, offset, size, names), names, NO_LABELS, First())
    return packed, StoredSamples(FilePlaces(folder / "files", names), names, NO_LABELS, First())


def pace(source: Source, disk: Disk, settings: Sequence, steps: int | None = None) -> tuple[float, int]:
    """Samples per second over a pass, or so many steps; and the seeks."""
    by_blocks = settings.order == "blocks"
    blocks = cut_blocks(source, block_mb=settings.block_mb, window_mb=settings.window_mb) if by_blocks else None
    plan = Plan(num_samples=len(source), batch_size=BATCH, seed=1, blocks=blocks)
    before, began = disk.seeks, time.perf_counter()
    with settings.build(source, plan) as loader:
        taken = sum(len(batch) for batch in loader.stream(0, steps or plan.num_steps))
        return taken / (time.perf_counter() - began), disk.seeks - before


def main() -> None:
    """Read by blocks of several sizes, in random order from the large files, and from the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--kb", type=float, default=110.0, help="kilobytes of a sample, on average")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keras-runner-disk-") as folder:
        packed, files = make(Path(folder), arguments.samples, round(arguments.kb * 1000))
        spans, disk = packed.spans(), Disk()
        each = float(spans.size.mean()) if spans else 0.0
        print("| | samples/s | of the model | of sequential | seeks |\n|---|---|---|---|---|")

        def row(name: str, found: tuple[float, int], model: float) -> None:
            rate, seeks = found
            share = rate * each / BYTES_PER_SECOND
            print(f"| {name} | {rate:,.0f} | {rate * model:.2f} | {share:.2f} | {seeks:,} |", flush=True)

        for block_mb in (8.0, 16.0, 32.0):
            settings = Sequence(order="blocks", block_mb=block_mb, window_mb=128.0, workers=WORKERS, batch_size=BATCH)
            model = each / BYTES_PER_SECOND + SEEK_SECONDS * each / (block_mb * MEBIBYTE)
            row(f"blocks of {block_mb:g} MiB", pace(packed, disk, settings), model)
        one_by_one = Sequence(workers=WORKERS, batch_size=BATCH)
        model, steps = each / BYTES_PER_SECOND + SEEK_SECONDS, FEW // BATCH
        row("random order, the same files", pace(packed, disk, one_by_one, steps), model)
        row("random order, a file each", pace(files, disk, one_by_one, steps), model)


if __name__ == "__main__":
    main()
