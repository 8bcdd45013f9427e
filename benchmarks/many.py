"""A table of ten million images that are not there: listed, split and planned, in seconds and in memory.

python benchmarks/many.py [--samples 10000000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from contextlib import closing
from pathlib import Path

import runner

CHUNK = 1_000_000
FILES_AHEAD = 32
"""Batches whose files are made, so that there is something to read ahead."""


def make_table(root: Path, number: int) -> Path:
    """Write the table unless it is there, and the images that are looked at."""
    import pyarrow as pa
    import pyarrow.parquet as parquet
    from PIL import Image

    root.mkdir(parents=True, exist_ok=True)
    file = root / f"{number}.parquet"
    for name in ("image.jpg", "image_000000000.jpg"):
        Image.new("RGB", (32, 32)).save(root / name)
    if not file.exists():
        schema = pa.schema([("path", pa.string()), ("label", pa.string())])
        with parquet.ParquetWriter(file, schema) as writer:
            for start in range(0, number, CHUNK):
                rows = range(start, min(start + CHUNK, number))
                columns = [[f"image_{row:09d}.jpg" for row in rows], [f"class_{row % 100:03d}" for row in rows]]
                writer.write_table(pa.table(columns, schema=schema))
    return file


def main() -> None:
    """Time each step, and print how much memory it has come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000_000, help="rows of the table")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "keras-runner-many")
    arguments = parser.parse_args()
    file = make_table(arguments.data, arguments.samples)
    overrides = ["data=dataframe", f"data.manifest={file}", "data.target_size=[32,32]", "data.validation_split=0.1"]

    began = time.perf_counter()
    config = runner.compose([*overrides, "loader=sequence"])
    with runner.build_loader(config) as loader:
        _tell(f"{loader.num_samples:,} samples listed, split and planned", began)
        began = time.perf_counter()
        for step in range(1000):
            loader.plan.batch(7, len(loader) - 1000 + step)
        _tell("1,000 batches from 99% of epoch 7 on, planned", began)
        first = len(loader) * 99 // 100
        for step in range(first, first + FILES_AHEAD):
            for index in loader.plan.batch(7, step).indices:
                (arguments.data / loader.source.ids[index]).unlink(missing_ok=True)
                (arguments.data / loader.source.ids[index]).hardlink_to(arguments.data / "image.jpg")
        began = time.perf_counter()
        with closing(loader.epoch(7, first)) as batches:
            next(batches)
            _tell("the first batch from 99% of epoch 7 on, read", began)


def _tell(what: str, began: float) -> None:
    seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what}: {seconds:.3f} s; {peak:.2f} GB at most so far")


if __name__ == "__main__":
    main()
