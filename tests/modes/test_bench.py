"""The comparison of loaders: what is measured, what is named the best, and what is left behind."""

import csv
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import compose
from runner.errors import BadSampleError, RunnerError, WorkerError
from runner.loaders.processes import BLOCK_NAME, SHARED_MEMORY
from runner.loaders.throughput import Throughput, evenly, time_loader
from runner.modes import bench_measure
from runner.modes.bench import best_of
from runner.modes.bench_measure import LoaderResult, candidates, in_own_process, override_line
from runner.modes.run import build_loader, run
from tests.support.forked_process import forking
from tests.support.photos import write_photos

COLUMNS = [
    "loader",
    "samples_per_second",
    "batch_milliseconds",
    "cpu_seconds_per_1000_samples",
    "memory_bytes",
    "first_batch_seconds",
    "num_samples",
    "reason",
]


@pytest.fixture(autouse=True)
def forked(forked_workers, monkeypatch):
    """Loaders are measured in copies of a process that has imported what they need."""
    monkeypatch.setattr(bench_measure, "IsolatedProcess", forking().Process)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Twenty images of two classes, seen from the folder a run starts in."""
    monkeypatch.chdir(tmp_path)
    write_photos("photos", ("cat", "dog"), 10, size=(9, 11))
    return ["data=directory", "data.root=photos", "data.target_size=[8,8]", "loader.batch_size=4"]


@pytest.fixture
def no_bounds(monkeypatch):
    """Reading without a loader is not measured: each bound takes a process."""
    monkeypatch.setattr("runner.modes.bench.measure_bounds", lambda *_: [])


@pytest.fixture
def in_this_process(monkeypatch):
    """Loaders are measured here, in place of a process each; what memory they take is then not known."""
    here = lambda function, *arguments, limit_seconds: (function(lambda: None, *arguments), 0)  # noqa: E731
    monkeypatch.setattr("runner.modes.bench_measure.in_own_process", here)


def bench(*overrides):
    """run.json of a bench in the folder `run`, and the rows of bench.csv."""
    folder = Path("run")
    folder.mkdir()
    document = run(compose(["mode=bench", "bench.seconds=0.05", *overrides]), folder=folder).document
    with (folder / "bench.csv").open(newline="") as file:
        return document, list(csv.DictReader(file))


def needs_a_check(settings):
    """Loaders of threads alone differ in their number; a cache in memory ends with its process."""
    return settings.kind != "sequence" or settings.use_multiprocessing or settings.cache == "disk"


def test_bench_measures_every_loader_and_cleans(photos, capsys, monkeypatch):
    all_loaders = lambda *args, **keys: tuple(filter(needs_a_check, candidates(*args, **keys)))  # noqa: E731
    monkeypatch.setattr("runner.modes.bench.candidates", all_loaders)
    document, rows = bench(*photos, "data.augment.flip=horizontal")
    assert list(rows[0]) == COLUMNS
    assert not any(row["reason"] for row in rows)
    lines = {row["loader"] for row in rows}
    kinds = {line.split()[0].removeprefix("loader=") for line in lines}
    assert kinds == {"generator", "sequence", "in_memory", "directory_flow"}
    assert any("cache=disk" in line for line in lines) and any("use_multiprocessing=true" in line for line in lines)
    paces = [float(row["samples_per_second"]) for row in rows]
    assert paces == sorted(paces, reverse=True)
    for row in rows:
        assert float(row["batch_milliseconds"]) == pytest.approx(4000 / float(row["samples_per_second"]), rel=0.1)
        assert int(row["num_samples"]) >= 4
    results = document["results"]["bench"]
    assert (results["samples"], results["of"]) == (16, 16)
    assert len(results["bounds"]) == 2
    printed = capsys.readouterr().out
    assert f"best      {results['best']}\n" in printed
    assert not multiprocessing.active_children()
    assert sorted(os.listdir()) == ["photos", "run"]
    assert not list(SHARED_MEMORY.glob(f"{BLOCK_NAME}-{os.getpid()}-*"))
    assert run(compose([*photos, *results["best"].split(), "mode=fit", "model=mlp", "train.epochs=1"])).path.exists()


def test_failing_loader_is_one_row(photos, tmp_path, monkeypatch, capsys, no_bounds):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    only = [compose(["loader=generator"]).loader, compose(["loader.use_multiprocessing=true"]).loader]
    monkeypatch.setattr("runner.modes.bench.candidates", lambda *_, **__: only)
    Path("my_locked.py").write_text(LOCKED)
    _, rows = bench("extensions=[my_locked]", "data=custom", "data.target=my_locked.Locked")
    failed = [row for row in rows if row["reason"]]
    assert [row["loader"].split()[-1] for row in failed] == ["loader.use_multiprocessing=true"]
    assert "cannot pickle '_thread.lock' object" in failed[0]["reason"]
    assert [row["loader"] for row in rows if not row["reason"]] == ["loader=generator"]
    assert rows[-1] is failed[0]
    assert f"failed    {failed[0]['loader']}: " in capsys.readouterr().out


LOCKED = """
import threading
import numpy as np

class Locked:
    def __init__(self):
        self.lock = threading.Lock()

    def __len__(self):
        return 30

    def read(self, index):
        return np.full((4, 4, 1), index, np.uint8)

    @property
    def labels(self):
        return [index % 2 for index in range(30)]
"""


def test_oversized_loader_is_a_row_with_sizes(photos, monkeypatch, in_this_process):
    monkeypatch.setattr("runner.modes.bench.available_bytes", lambda: 7_000)
    _, rows = bench(*photos)
    reasons = {row["loader"].split()[0]: row["reason"] for row in rows}
    assert reasons["loader=generator"] == ""
    assert reasons["loader=in_memory"].endswith("of memory, 7.0 kB are free")


def test_oversized_disk_cache_is_a_row(photos, monkeypatch, in_this_process):
    monkeypatch.setattr("runner.modes.bench.candidates", lambda asked, *_, **__: [compose().loader, asked])
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 7_000}))
    _, rows = bench(*photos, "loader.cache=disk")
    assert [row["reason"] for row in rows] == [
        "",
        "needs 3.8 kB of disk, more than half of the 7.0 kB that are free",
    ]


def test_bench_without_any_result_fails(photos, monkeypatch, in_this_process):
    monkeypatch.setattr("runner.modes.bench.available_bytes", lambda: 0)
    with pytest.raises(RunnerError, match="no loader could be measured: needs .* of memory, 0 B are free"):
        bench(*photos)


def test_an_unreadable_sample_is_named(photos, in_this_process):
    Path("photos/cat/03.png").write_bytes(b"no image")
    # On a busy machine the first look ends before that sample, which the loaders then meet.
    with pytest.raises(RunnerError, match="photos/cat/03.png"):
        bench(*photos, "data.validation_split=0")


def test_other_work_is_noted(photos, monkeypatch, capsys, in_this_process):
    monkeypatch.setattr("psutil.cpu_percent", lambda interval: 45.0)
    monkeypatch.setattr("runner.modes.bench.candidates", lambda asked, *_, **__: [asked])
    bench(*photos, "data.limit=6")
    assert "other programs keep the CPU 45% busy" in capsys.readouterr().out


def test_in_memory_candidate_counts_all_samples(photos, monkeypatch, no_bounds):
    monkeypatch.setattr("runner.modes.bench._samples_to_use", lambda *_: 8)
    monkeypatch.setattr("runner.modes.bench.candidates", lambda asked, *_, **__: [asked])
    document, rows = bench(*photos, "loader=in_memory")
    assert (document["results"]["bench"]["samples"], document["results"]["bench"]["of"]) == (8, 16)
    assert not any(row["reason"] for row in rows)
    assert int(rows[0]["memory_bytes"]) >= 8 * 8 * 8 * 3


def test_arrays_are_benched_without_caches(tmp_path, monkeypatch, in_this_process):
    monkeypatch.chdir(tmp_path)
    np.savez("arrays.npz", x=np.zeros((50, 3), np.float32), y=np.arange(50) % 2)
    document, rows = bench("data=arrays", "data.path=arrays.npz")
    assert not any(row["reason"] or "cache" in row["loader"] for row in rows)
    assert len(document["results"]["bench"]["bounds"]) == 1


@given(st.integers(1, 40), st.booleans(), st.booleans())
def test_candidates_are_bounded_and_distinct(processors, files, cacheable):
    asked = compose_once().loader
    listed = candidates(asked, processors, files=files, cacheable=cacheable)
    assert len({override_line(settings) for settings in listed}) == len(listed)
    threads = [one.workers for one in listed if one.kind == "sequence" and one.cache == "none"]
    assert {1, processors, asked.workers} <= set(threads)
    assert max(threads) <= max(processors, asked.workers)
    assert {one.batch_size for one in listed} == {asked.batch_size}
    assert any(one.kind == "directory_flow" for one in listed) == files


def test_every_candidate_line_composes_to_itself():
    asked = compose(["loader.batch_size=8", "loader.max_queue_size=3", "loader.cache=memory", "loader.shuffle=false"])
    for settings in candidates(asked.loader, 4, files=True, cacheable=True):
        assert compose(override_line(settings).split()).loader.normalised() == settings


SETTINGS = []


def compose_once():
    SETTINGS.extend([] if SETTINGS else [compose(["loader.batch_size=16"])])
    return SETTINGS[0]


def row(pace, memory, line="a"):
    return LoaderResult(line, Throughput(num_samples=pace, seconds=1.0, cpu_seconds=1.0), memory)


def test_best_is_the_fastest_then_the_smallest():
    slow, large, small = row(89, 1), row(100, 10), row(96, 5)
    assert best_of([slow, large, small, LoaderResult("b", reason="failed")]) is small
    assert best_of([slow, large]) is large
    assert best_of([LoaderResult("b", reason="failed")]) is None


@given(st.integers(0, 300))
def test_spread_indices_are_complete(num_samples):
    indices = list(evenly(num_samples))
    assert sorted(indices) == list(range(num_samples))
    first = sorted(indices[:8])
    if num_samples > 64:
        assert first[-1] > num_samples / 2


def test_speed_excludes_the_first_epoch(digits_root):
    with build_loader(compose([f"data.root={digits_root}", "data.limit=40", "loader=generator"])) as loader:
        pace = time_loader(loader, 0.05)
    assert pace.seconds >= 0.05
    assert pace.num_samples % 40 in (0, 32)
    assert pace.first_batch_seconds > 0


def take(start, num_bytes):
    before = bytearray(30_000_000)
    start()
    taken = bytearray(b"x" * num_bytes)
    time.sleep(0.2)
    return len(before) + len(taken)


def die(start):
    start()
    os._exit(7)


def hang(start):
    start()
    time.sleep(60)


def refuse(start):
    raise BadSampleError("a.png", "broken")


def test_memory_is_what_was_taken_after_the_start():
    total, peak = in_own_process(take, 60_000_000, limit_seconds=30)
    assert total == 90_000_000
    assert 55_000_000 < peak < 150_000_000


def test_dead_process_is_reported(monkeypatch):
    monkeypatch.setattr(bench_measure, "multiprocessing", multiprocessing)  # a process of its own, as for users
    with pytest.raises(WorkerError, match=r"its process died \(exit code 7\)"):
        in_own_process(die, limit_seconds=30)


def test_a_process_that_takes_too_long_is_ended():
    began = time.monotonic()
    with pytest.raises(WorkerError, match="it took longer than 2 s"):
        in_own_process(hang, limit_seconds=2)
    assert time.monotonic() - began < 100
    assert not multiprocessing.active_children()


def test_an_error_of_the_function_is_raised():
    with pytest.raises(BadSampleError, match="a.png: broken"):
        in_own_process(refuse, limit_seconds=30)
