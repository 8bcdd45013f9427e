"""An epoch of photographs in large files to shuffled batches of 32 × 224×224×3: packs, tar files, and their peers.

python benchmarks/packs.py [--samples 600] [--rounds 3] [--python webdataset=/venv/bin/python ...]

`--python` names the interpreter of a peer, in an environment of its own; others are left out. Peers decode with
simplejpeg and resize with OpenCV without antialiasing: the fastest decoding there is, less than the runner does.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from contenders import BATCH_SIZE, SIDE, runner_loader
from measuring import Contenders, Epochs, compare
from photographs import make_photographs

WORKERS = 2
SHARDS = 4


def make_packed_photographs(root: Path, samples: int) -> None:
    """Photographs in `root/images`, as a pack, in tar files of webdataset, and for the peers that are installed."""
    make_photographs(root / "images", samples)
    files = sorted((root / "images").glob("*/*.jpg"))
    classes = sorted({file.parent.name for file in files})
    if not (root / "packed" / "pack.json").exists():
        import runner

        keys = {"data.root": root / "images", "pack.to": root / "packed", "data.validation_split": 0}
        runner.run(runner.compose(["mode=pack", "data=directory", *(f"{key}={value}" for key, value in keys.items())]))
    if not (root / "tar").exists():
        (root / "tar").mkdir()
        for number in range(SHARDS):
            with tarfile.open(root / "tar" / f"train-{number:03}.tar", "w") as tar:
                for index in range(number, len(files), SHARDS):
                    label = str(classes.index(files[index].parent.name)).encode()
                    member = tarfile.TarInfo(f"{index:06}.cls")
                    member.size = len(label)
                    tar.add(files[index], f"{index:06}.jpg")
                    tar.addfile(member, io.BytesIO(label))


def of_runner(data: str, key: str, folder: str, **settings: Any) -> Callable[[Path], Epochs]:
    """One of the runner's own loaders with two threads."""

    def open_loader(root: Path) -> Epochs:
        keys = {key: root / folder, "loader.workers": WORKERS, **settings}
        open_it = runner_loader("sequence", **keys)
        return open_it(root / "images") if data == "directory" else _opened(data, keys)

    return open_loader


def _opened(data: str, keys: dict[str, Any]) -> Epochs:
    import runner

    fixed = ["loader=sequence", f"loader.batch_size={BATCH_SIZE}", "data.validation_split=0"]
    size = [f"data.target_size=[{SIDE},{SIDE}]"]
    return runner.build_loader(
        runner.compose([f"data={data}", *fixed, *size, *(f"{key}={value}" for key, value in keys.items())])
    ).epoch


def decoded(data: bytes) -> Any:
    """What peers do with an image."""
    import cv2
    import simplejpeg

    return cv2.resize(simplejpeg.decode_jpeg(data, fastdct=True), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def by_webdataset(root: Path) -> Epochs:
    """WebDataset with two processes of PyTorch's DataLoader, as its documentation has it."""
    import numpy as np
    import webdataset

    def sample(one: dict[str, Any]) -> tuple[Any, int]:
        return decoded(one["jpg"]), int(one["cls"])

    files = [str(file) for file in sorted((root / "tar").glob("*.tar"))]
    data = webdataset.WebDataset(files, shardshuffle=SHARDS).shuffle(1000).map(sample)
    batches = data.batched(BATCH_SIZE, collation_fn=lambda rows: tuple(map(np.stack, zip(*rows, strict=True))))
    loader = webdataset.WebLoader(batches, batch_size=None, num_workers=WORKERS)
    return lambda epoch: loader


def by_streaming(root: Path) -> Epochs:
    """MosaicML streaming with two processes of PyTorch's DataLoader, from its own format."""
    import torch
    from streaming import MDSWriter, StreamingDataset

    folder = root / "mds"
    if not folder.exists():
        with MDSWriter(out=str(folder), columns={"jpg": "bytes", "cls": "int"}) as writer:
            for data, label in _members(root):
                writer.write({"jpg": data, "cls": label})

    class Photographs(StreamingDataset):
        def __getitem__(self, index: int) -> Any:
            one = super().__getitem__(index)
            return decoded(one["jpg"]), one["cls"]

    data = Photographs(local=str(folder), shuffle=True, batch_size=BATCH_SIZE)
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH_SIZE, num_workers=WORKERS)
    return lambda epoch: loader


def by_grain(root: Path) -> Epochs:
    """Grain with two threads, from ArrayRecord."""
    import grain.python as grain
    from array_record.python.array_record_module import ArrayRecordWriter

    file = root / "photographs.array_record"
    if not file.exists():
        writer = ArrayRecordWriter(str(file), "group_size:1")
        for data, label in _members(root):
            writer.write(bytes([label]) + data)
        writer.close()
    source = grain.ArrayRecordDataSource(str(file))

    def epoch(number: int) -> Iterable[Any]:
        data = grain.MapDataset.source(source).shuffle(seed=number)
        mapped = data.map(lambda one: (decoded(one[1:]), one[0])).batch(BATCH_SIZE)
        return mapped.to_iter_dataset(grain.ReadOptions(num_threads=WORKERS, prefetch_buffer_size=8))

    return epoch


def by_turboloader(root: Path) -> Epochs:
    """Turboloader with two threads, from a tar file: it decodes and resizes by itself, not antialiased."""
    import turboloader

    whole = root / "whole.tar"
    if not whole.exists():
        with tarfile.open(whole, "w") as tar:
            for number, (data, label) in enumerate(_members(root)):
                for suffix, content in (("jpg", data), ("cls", str(label).encode())):
                    member = tarfile.TarInfo(f"{number:06}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    options = {"num_workers": WORKERS, "shuffle": True, "image_size": (SIDE, SIDE)}  # it gives floats

    def epoch(number: int) -> Iterator[Any]:
        loader = turboloader.DataLoader(str(whole), BATCH_SIZE, output_format="numpy", seed=number, **options)
        for batch in loader:
            yield batch if isinstance(batch, tuple) else (batch,)

    return epoch


def _members(root: Path) -> Iterator[tuple[bytes, int]]:
    """Image and class number of each sample in the tar files."""
    for file in sorted((root / "tar").glob("*.tar")):
        with tarfile.open(file) as tar:
            images: dict[str, bytes] = {}
            for member in tar:
                opened = tar.extractfile(member)
                content = opened.read() if opened else b""
                name, suffix = member.name.split(".")
                if suffix == "jpg":
                    images[name] = content
                else:
                    yield images.pop(name), int(content)


CONTENDERS: Contenders = {
    "folder, 2 threads": of_runner("directory", "data.root", "images"),
    "pack, 2 threads": of_runner("pack", "data.root", "packed"),
    "pack, resized as by the peers, 2 threads": of_runner("pack", "data.root", "packed", **{"data.antialias": "false"}),
    "pack, in order of blocks, 2 threads": of_runner(
        "pack", "data.root", "packed", **{"loader.order": "blocks", "loader.block_mb": 1, "loader.window_mb": 16}
    ),
    "tar, 2 threads": of_runner("tar", "data.shards", "tar/*.tar"),
    "webdataset": by_webdataset,
    "streaming": by_streaming,
    "grain": by_grain,
    "turboloader": by_turboloader,
}
PEERS = ("webdataset", "streaming", "grain", "turboloader")

if __name__ == "__main__":
    compare(CONTENDERS, make_packed_photographs, samples=600, about=__doc__, peers=PEERS)
