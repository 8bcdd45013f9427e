"""A pack of 27 million samples: from the index to the first batch, in seconds and in memory.

python benchmarks/large_pack.py [--samples 27000000] [--data FOLDER]

The shards are hard links to one shard of 9,000 photographs, so that 3 TB take 0.6 GB of disk and the index 2.3 GB. Each
order of the loader has a process of its own; the index is in the page cache.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import photographs

import runner

PHOTOGRAPHS, COPIES = 300, 30
"""Photographs, and how often each is in the shard under another name."""
AT_ONCE = 29
"""Shards whose rows make a group of the index, as `mode=pack` writes it."""
ORDERS = {
    "random": ("loader.order=random",),
    "blocks of 8 MiB": ("loader.order=blocks", "loader.block_mb=8", "loader.window_mb=64"),
}


def make_pack(root: Path, number: int) -> Path:
    """A pack of at least `number` samples below `root`, unless it is there; its columns are kept by opening it once."""
    pack = root / f"pack-{number}"
    if not (pack / "pack.json").exists():
        _grow(_one_shard(root), pack, number)
    runner.compose(["data=pack", f"data.root={pack}"]).data.open()
    return pack


def _one_shard(root: Path) -> Path:
    photographs.make_photographs(root / "photographs", PHOTOGRAPHS)
    for file in (root / "photographs").rglob("*.jpg"):
        folder = root / "names" / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(COPIES):
            name = folder / f"{file.parent.name}_{int(file.stem) * COPIES + copy:08d}.jpg"
            if not name.exists():
                name.hardlink_to(file)
    keys = [
        "mode=pack",
        "data=directory",
        f"data.root={root / 'names'}",
        "data.validation_split=0",
        "pack.shard_mb=4096",
    ]
    (root / "run").mkdir(exist_ok=True)
    runner.run(runner.compose([*keys, f"pack.to={root / 'shard'}"]), folder=root / "run")
    return root / "shard"


def _grow(shard: Path, pack: Path, number: int) -> None:
    """The pack of one shard as often as it takes, each time under other ids."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    pack.mkdir(parents=True, exist_ok=True)
    document, table = json.loads((shard / "pack.json").read_text()), parquet.read_table(shard / "index.parquet")
    (section,) = document["shards"]["train"]
    ids, rows, sections = [name.decode() for name in table["id"].to_pylist()], table.num_rows, []
    texts = [name for name in table.column_names if name == "split" or name.startswith("suffix")]
    with parquet.ParquetWriter(
        pack / "index.parquet", table.schema, compression="none", use_dictionary=texts
    ) as writer:
        tables = []
        for copy in range(-(-number // rows)):
            file = pack / f"train-{copy:06}.tar"
            file.unlink(missing_ok=True)
            file.hardlink_to(shard / section["file"])
            sections.append({**section, "file": file.name})
            columns = {name: table[name] for name in table.column_names}
            columns["id"] = pa.array([f"{copy:04d}/{name}".encode() for name in ids], pa.binary())
            for name, values in (
                ("shard", np.full(rows, copy)),
                ("position", table["position"].to_numpy() + copy * rows),
            ):
                columns[name] = pa.array(values.astype(table[name].to_numpy().dtype))
            tables.append(pa.table(columns, schema=table.schema))
            if len(tables) == AT_ONCE:
                writer.write_table(pa.concat_tables(tables).combine_chunks())
                tables = []
        if tables:
            writer.write_table(pa.concat_tables(tables).combine_chunks())
    document["shards"]["train"] = sections
    (pack / "pack.json").write_text(json.dumps(document))


def first_batch(pack: Path, order: str) -> None:
    """Open the pack and read a batch; print what it took."""
    keys = ["data=pack", f"data.root={pack}", "data.target_size=[224,224]", "loader=sequence", *ORDERS[order]]
    config = runner.compose(keys)
    importlib.import_module("runner.images.fast")  # the decoder's own import is not the index's
    began, cpu = time.perf_counter(), time.process_time()
    with runner.build_loader(config) as loader:
        opened = time.perf_counter() - began
        loader.batch(0, len(loader) // 2)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        samples = loader.num_samples
    memory = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak, own = (int(memory[name].split()[0]) / 1e6 for name in ("VmHWM", "RssAnon"))
    print(
        f"{samples:,} samples, {order}: opened in {opened:.2f} s, first batch in {seconds:.2f} s ({cpu:.2f} s CPU); "
        f"{peak:.2f} GB at most, {own:.2f} GB without mapped files",
        flush=True,
    )
    os._exit(0)


def main() -> None:
    """Make the pack, and measure each order in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=27_000_000, help="samples of the pack, in whole shards")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "keras-runner-large-pack")
    parser.add_argument("--only", choices=ORDERS, help="measure one order here")
    arguments = parser.parse_args()
    if arguments.only:
        first_batch(arguments.data / f"pack-{arguments.samples}", arguments.only)
    pack = make_pack(arguments.data, arguments.samples)
    for order in ORDERS:
        command = [sys.executable, __file__, "--samples", str(arguments.samples), "--data", str(pack.parent)]
        subprocess.run([*command, "--only", order], check=True)


if __name__ == "__main__":
    main()
