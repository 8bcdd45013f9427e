"""Packs and their peers on a mounted folder that seeks as a spinning disk does: 12.7 ms a seek, 220 MB/s.

python benchmarks/slow_mount.py [--samples 8000] [--python webdataset=/venv/bin/python ...]

Needs the right to mount, libfuse 2 and mfusepy. Each contender reads one pass of 192×192×3 arrays, which need no
decoding, in a process and from a mount of its own, so that no file is in the page cache. The kernel reads through the
mount in parts of 128 kB, one process after the other: a read that does not begin where the last one ended is a seek.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SEEK_SECONDS, BYTES_PER_SECOND = 0.0127, 220e6
SHAPE, BATCH, WORKERS = (192, 192, 3), 32, 2
SHARDS = 4
FEW = 320
"""Samples to read where each is a seek: more say nothing new."""
READ_BYTES = 1 << 20


def serve(root: str, mount: str) -> None:
    """Mount `root` read-only at `mount`, until it is unmounted; print the number of reads, seeks and bytes then."""
    from mfusepy import FUSE, Operations

    class Disk(Operations):  # type: ignore[misc]
        use_ns = True

        def __init__(self) -> None:
            self.turn, self.head, self.busy_until = threading.Lock(), ("", -1), 0.0
            self.counts = {"reads": 0, "seeks": 0, "bytes": 0}

        def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
            status = os.lstat(root + path)
            times = {f"st_{name}time": getattr(status, f"st_{name}time_ns") for name in "amc"}
            names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
            return {name: getattr(status, name) for name in names} | times

        def readdir(self, path: str, fh: Any) -> list[str]:
            return [".", "..", *(entry.name for entry in Path(root + path).iterdir())]

        def open(self, path: str, flags: int) -> int:
            return os.open(root + path, flags)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            with self.turn:
                began, data = time.perf_counter(), os.pread(fh, size, offset)
                is_seek, self.head = self.head != (path, offset), (path, offset + len(data))
                for name, count in (("reads", 1), ("seeks", is_seek), ("bytes", len(data))):
                    self.counts[name] += count
                # Sleeping is late by a part of a millisecond; the next read makes up for it.
                seconds = len(data) / BYTES_PER_SECOND + is_seek * SEEK_SECONDS
                self.busy_until = max(self.busy_until, began - 0.002) + seconds
                if (rest := self.busy_until - time.perf_counter()) > 0:
                    time.sleep(rest)
                return data

        def release(self, path: str, fh: int) -> None:
            os.close(fh)

    disk = Disk()
    FUSE(disk, mount, foreground=True, ro=True, nothreads=True)  # a disk reads one request after the other
    print(json.dumps(disk.counts), flush=True)


@contextmanager
def mounted(root: Path, counts: dict[str, int]) -> Iterator[Path]:
    """`root` behind a disk of its own; `counts` gets its reads, seeks and bytes at the end."""
    with tempfile.TemporaryDirectory(prefix="keras-runner-mount-") as mount:
        command = [sys.executable, __file__, "--serve", str(root), mount]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            while not os.path.ismount(mount):
                if server.poll() is not None:
                    sys.exit("the folder cannot be mounted")
                time.sleep(0.05)
            yield Path(mount)
        finally:
            subprocess.run(["fusermount", "-u", "-z", mount], check=True)
            counts.update(json.loads(server.communicate()[0]))


def make(root: Path, number: int) -> None:
    """The same arrays as files, as a pack, and in tar files of webdataset."""
    import io
    import tarfile

    import runner

    rng, files = np.random.default_rng(0), root / "files"
    files.mkdir(parents=True, exist_ok=True)
    names = [f"{index:06d}" for index in range(number)]
    for name in (name for name in names if not (files / f"{name}.npy").exists()):
        np.save(files / f"{name}.npy", rng.integers(0, 256, SHAPE, np.uint8))
    if not (root / "packed" / "pack.json").exists():
        (root / "partition.json").write_text(json.dumps({"train": names}))
        (root / "labels.json").write_text(json.dumps(dict.fromkeys(names, 0) | {names[0]: 1}))
        keys = {"data.root": files, "data.partition": root / "partition.json", "data.labels": root / "labels.json"}
        keys |= {"pack.to": root / "packed", "pack.shard_mb": 256, "data.validation_split": 0}
        (root / "run").mkdir(exist_ok=True)
        config = runner.compose(["mode=pack", "data=npy", *(f"{key}={value}" for key, value in keys.items())])
        runner.run(config, folder=root / "run")
    if not (root / "tar").exists():
        (root / "tar").mkdir()
        for part, members in enumerate(np.array_split(rng.permutation(number), SHARDS)):
            with tarfile.open(root / "tar" / f"train-{part:03}.tar", "w") as tar:
                for index in members.tolist():
                    tar.add(files / f"{names[index]}.npy", f"{names[index]}.npy")
                    label = tarfile.TarInfo(f"{names[index]}.cls")
                    label.size = 1
                    tar.addfile(label, io.BytesIO(b"0"))


Pass = Callable[[Path, Path], tuple[Iterable[Any], int]]
"""Of a mount and the folder behind it: batches, and how many samples to take of them."""


def by_runner(folder: str, few: bool = False, **settings: Any) -> Pass:
    """The runner with two threads."""

    def batches(mount: Path, behind: Path) -> tuple[Iterable[Any], int]:
        import runner

        if folder == "packed":
            data = ["data=pack", f"data.root={mount / folder}"]
        else:
            lists = [f"data.{name}={behind / name}.json" for name in ("partition", "labels")]
            data = ["data=npy", f"data.root={mount / folder}", "data.validation_split=0", *lists]
        keys = ["loader=sequence", f"loader.workers={WORKERS}", f"loader.batch_size={BATCH}"]
        keys += [f"loader.{key}={value}" for key, value in settings.items()]
        loader = runner.build_loader(runner.compose([*data, *keys]))
        return loader.epoch(0), FEW if few else loader.num_samples

    return batches


def sequential(mount: Path, behind: Path) -> tuple[Iterable[Any], int]:
    """All bytes of the pack, one after another, counted as samples of the pack."""
    shards = sorted((mount / "packed").glob("*.tar"))
    samples = sum(len(json.loads((behind / "partition.json").read_text())[split]) for split in ("train",))

    def read() -> Iterator[Any]:
        for shard in shards:
            with shard.open("rb", buffering=0) as file:
                while file.read(READ_BYTES):
                    pass
        yield range(samples), None

    return read(), samples


def by_webdataset(processes: int) -> Pass:
    """WebDataset with processes of PyTorch's DataLoader, as its documentation has it."""

    def batches(mount: Path, behind: Path) -> tuple[Iterable[Any], int]:
        import webdataset

        files = [str(file) for file in sorted((mount / "tar").glob("*.tar"))]
        data = webdataset.WebDataset(files, shardshuffle=SHARDS).shuffle(1000).decode().to_tuple("npy", "cls")
        batched = data.batched(BATCH, collation_fn=lambda rows: tuple(map(np.stack, zip(*rows, strict=True))))
        loader = webdataset.WebLoader(batched, batch_size=None, num_workers=processes)
        return loader, len(list((behind / "files").iterdir()))

    return batches


def by_grain(mount: Path, behind: Path) -> tuple[Iterable[Any], int]:
    """Grain with two threads, from ArrayRecord, shuffled."""
    import grain.python as grain
    from array_record.python.array_record_module import ArrayRecordWriter

    file = behind / "arrays.array_record"
    if not file.exists():
        writer = ArrayRecordWriter(str(file), "group_size:1")
        for one in sorted((behind / "files").iterdir()):
            writer.write(np.load(one).tobytes())
        writer.close()
    data = grain.MapDataset.source(grain.ArrayRecordDataSource(str(mount / file.name))).shuffle(seed=1)
    arrays = data.map(lambda one: (np.frombuffer(one, np.uint8).reshape(SHAPE), 0)).batch(BATCH)
    return arrays.to_iter_dataset(grain.ReadOptions(num_threads=WORKERS, prefetch_buffer_size=8)), FEW


CONTENDERS: dict[str, Pass] = {
    "the shards, one after another": sequential,
    "pack, blocks of 32 MiB": by_runner("packed", order="blocks", block_mb=32, window_mb=256),
    "pack, blocks of 8 MiB": by_runner("packed", order="blocks", block_mb=8, window_mb=256),
    "pack, random order": by_runner("packed", few=True, order="random"),
    "folder, random order": by_runner("files", few=True),
    "webdataset, 1 process": by_webdataset(1),
    "webdataset, 2 processes": by_webdataset(2),
    "grain": by_grain,
}


def measure(name: str, mount: Path, behind: Path) -> None:
    """Print the samples per second of one pass, or of a part of it."""
    batches, most = CONTENDERS[name](mount, behind)
    taken, began = 0, time.perf_counter()
    for batch in batches:
        taken += len(batch.x if hasattr(batch, "x") else batch[0])
        if taken >= most:
            break
    print(taken / (time.perf_counter() - began), flush=True)
    os._exit(0)  # no contender's threads keep the mount busy


def main() -> None:
    """Make the data, and measure each contender on a mount of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "keras-runner-slow-mount")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="a peer's interpreter")
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "MOUNT"), help="mount a folder")
    parser.add_argument("--only", nargs=2, metavar=("NAME", "MOUNT"), help="measure one contender on a mount")
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(*arguments.serve)
    if arguments.only:
        return measure(arguments.only[0], Path(arguments.only[1]), arguments.data)
    make(arguments.data, arguments.samples)
    interpreters = dict(text.split("=", 1) for text in arguments.python)
    print("| | samples/s | of the shards one after another | seeks | MB read |\n|---|---|---|---|---|", flush=True)
    whole = 0.0
    for name in CONTENDERS:
        peer, counts = name.split(",")[0], dict[str, int]()
        if peer in ("webdataset", "grain") and peer not in interpreters:
            continue
        with mounted(arguments.data, counts) as mount:
            command = [interpreters.get(peer, sys.executable), __file__, "--data", str(arguments.data)]
            result = subprocess.run([*command, "--only", name, str(mount)], capture_output=True, text=True)
            if result.returncode:
                sys.exit(f"{name} failed:\n{result.stderr}")
        rate = float(result.stdout.splitlines()[-1])
        whole = whole or rate
        print(
            f"| {name} | {rate:,.0f} | {rate / whole:.2f} | {counts['seeks']:,} | {counts['bytes'] / 1e6:,.0f} |",
            flush=True,
        )
    return None


if __name__ == "__main__":
    main()
