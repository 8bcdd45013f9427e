"""Packs that tests write, and digests of their files."""

import hashlib
import json
import tarfile

from runner import compose
from runner.modes.run import run


def write_pack(folder, *keys, to="packed"):
    """Pack data below `folder`; returns the folder of the pack, and the record of the run in `run-NAME`."""
    place, record = folder / to, folder / f"run-{to}"
    record.mkdir(exist_ok=True)
    for file in record.iterdir():
        file.unlink()
    run(compose(["mode=pack", f"pack.to={place}", "loader.workers=2", *keys]), folder=record)
    return place


def record_of(folder, to="packed"):
    """The run.json of the run that wrote a pack."""
    return json.loads((folder / f"run-{to}" / "run.json").read_text())


def digests(folder, *suffixes):
    """The digest of every file of a pack by name; with `suffixes`, only of such files."""
    files = (file for file in folder.iterdir() if not suffixes or file.suffix in suffixes)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def members(shard):
    """The members of a shard: names, and what they hold."""
    with tarfile.open(shard) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}
