"""Ranks of one run: the losses of any number of them, bytes that each reads, and kills of random ranks."""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from runner.records.metrics import TIMING

QUICK = ("backend=jax", "model=mlp", "model.hidden_units=[16]", "loader.batch_size=64", "loader.workers=1")
QUICK += ("train.epochs=40", "train.checkpoint_every.steps=20")
VIRTUAL = "--xla_force_host_platform_device_count=4"
PHOTOS, SHORT, LONG = 640, 2, 12
MOST_SECONDS = 15.0
"""From a kill to the end of the last rank."""


class Group:
    """A run of several ranks, followed by what the system says of its processes."""

    def __init__(self, place: Path, *overrides: str, flags: str = "") -> None:
        place.mkdir()
        self.place, self.read = place, dict[int, int]()
        self.is_alone = "distribute.processes=1" in overrides
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
        command = [sys.executable, "-m", "runner", *QUICK, *overrides]
        with (place / "printed").open("wb") as printed:
            self.parent = subprocess.Popen(command, cwd=place, env=environment, stdout=printed, stderr=printed)

    def ranks(self) -> dict[int, psutil.Process]:
        """The processes of the ranks by number; of a run of one process, that one."""
        found = {}
        try:
            parent = psutil.Process(self.parent.pid)
            if self.is_alone:
                return {0: parent}
            for child in parent.children():
                words = child.cmdline()
                if "runner.rank" in words:
                    found[int(words[words.index("runner.rank") + 1])] = child
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            pass
        return found

    def wait(self) -> None:
        """Wait for the end, and note the bytes that each rank has read."""
        while self.parent.poll() is None:
            for number, rank in self.ranks().items():
                try:
                    self.read[number] = rank.io_counters().read_chars
                except psutil.Error:
                    continue
            time.sleep(0.05)
        if self.parent.returncode:
            sys.exit((self.place / "printed").read_text())

    def states(self) -> int:
        """The number of states so far."""
        return len(list(self.place.glob("outputs/runs/*-*/checkpoints/state-*.npz")))

    def outcome(self) -> dict[str, Any]:
        """All that must be equal."""
        (folder,) = self.place.glob("outputs/runs/*-*")
        document = json.loads((folder / "run.json").read_text())
        with (folder / "metrics.csv").open(newline="") as lines:
            rows = [{name: cell for name, cell in row.items() if name not in TIMING} for row in csv.DictReader(lines)]
        return {"status": document["status"], "digests": document["digests"], "metrics": rows}


def kill_ranks(group: Group, randomness: random.Random, world: int, most: int) -> tuple[int, float]:
    """Kill random ranks at random moments until the run is done, at most so often.

    Returns the kills, and the longest time from one to the end of all ranks.
    """
    kills, longest = 0, 0.0
    while group.parent.poll() is None and kills < most:
        before = group.states()
        while group.parent.poll() is None and (group.states() <= min(before, 1) or len(group.ranks()) < world):
            time.sleep(0.02)
        time.sleep(randomness.uniform(0, 1.0))
        ranks = group.ranks()
        if group.parent.poll() is not None or not ranks:
            break
        victim = ranks[randomness.choice(sorted(ranks))]
        victim.kill()
        begun, kills = time.monotonic(), kills + 1
        gone = {rank.pid for rank in ranks.values()}
        while group.parent.poll() is None and gone & {rank.pid for rank in group.ranks().values()}:
            time.sleep(0.02)
        longest = max(longest, time.monotonic() - begun)
    return kills, longest


def write_photos(folder: Path) -> None:
    """Images that are larger than what else a rank reads."""
    randomness = np.random.default_rng(0)
    for number in range(PHOTOS):
        file = folder / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(randomness.integers(0, 256, (64, 64, 3), np.uint8)).save(file)


def bytes_per_epoch(root: Path, world: int) -> list[float]:
    """What each rank of `world` reads in an epoch: the difference of a long and a short run."""
    read = []
    for epochs in (SHORT, LONG):
        keys = ("data=directory", f"data.root={root}/photos", "data.target_size=[8,8]", f"train.epochs={epochs}")
        group = Group(root / f"{world}-{epochs}", "mode=fit", *keys, f"distribute.processes={world}")
        group.wait()
        read.append(group.read)
    return [(read[1][number] - read[0][number]) / (LONG - SHORT) for number in range(world)]


def most_apart(groups: Sequence[Group]) -> float:
    """The largest relative difference of the losses of two runs."""
    rows = zip(*(group.outcome()["metrics"] for group in groups), strict=True)
    pairs = [(float(one[name]), float(other[name])) for one, other in rows for name in ("loss", "val_loss")]
    return max(abs(one - other) / one for one, other in pairs)


def main() -> None:
    """Print a line for each group."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--world", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    world, randomness = arguments.world, random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        virtual = Group(root / "devices", f"distribute.devices={world}", flags=VIRTUAL)
        virtual.wait()
        write_photos(root / "photos")
        whole_epoch = 0.0
        for number in (1, 2, 4):
            read = bytes_per_epoch(root, number)
            whole_epoch = whole_epoch or max(read)
            each = ", ".join(f"{one / 1e6:.2f}" for one in read)
            most = f"{max(read) / whole_epoch:.3f} of one process, expected {1 / number:.3f}"
            print(f"{number} processes: each rank reads {each} MB per epoch; most {most}", flush=True)
        whole = Group(root / "whole", f"distribute.processes={world}")
        whole.wait()
        alone = Group(root / "alone", "distribute.processes=1")
        alone.wait()
        for name, group in ((f"{world} devices", virtual), (f"{world} processes", whole)):
            print(f"{name}: losses differ by at most {most_apart([alone, group]):.1e} from one device's", flush=True)
        kills = differences = 0
        while kills < arguments.kills:
            group = Group(root / "killed", f"distribute.processes={world}", "distribute.restarts=1000")
            killed, longest = kill_ranks(group, randomness, world, arguments.kills - kills)
            group.wait()
            differing = [part for part, value in whole.outcome().items() if group.outcome()[part] != value]
            kills, differences = kills + killed, differences + bool(differing)
            differs = ", ".join(differing) or "nothing"
            print(f"{killed} kills, all ranks ended after at most {longest:.1f} s, {differs} differs", flush=True)
            if longest > MOST_SECONDS:
                differences += 1
            shutil.rmtree(root / "killed")
    print(f"{kills} kills, {differences} differences")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
