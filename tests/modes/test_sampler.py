"""The sampler writes where training is, in a thread that ends with it and fails alone."""

import threading
import time
from types import SimpleNamespace

import pytest

from runner.loaders.timing import Clock
from runner.modes import sampler as sampler_module
from runner.modes.sampler import Sampler
from runner.records import system_table
from runner.records.system_table import read_system


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(system_table, "SHORTEST_SECONDS", 0.01)
    monkeypatch.setattr(sampler_module, "is_readable", lambda: False)


def sampler_of(folder, *, leads=True, gpus=None, notes=(), processes=(), resumed_at=None):
    clock = Clock()
    clock.processes = processes
    record = SimpleNamespace(path=folder, document={"machine": {"gpus": gpus}})
    run = SimpleNamespace(
        record=record, rank=SimpleNamespace(leads=leads), terminal=SimpleNamespace(note=lambda text: notes.append(text))
    )
    parts = {"train": SimpleNamespace(clock=clock), "validation": None, "settings": SimpleNamespace(epochs=3)}
    return Sampler(run, SimpleNamespace(steps_per_epoch=10, **parts), resumed_at=resumed_at)


def rows_of(folder, count=1, where=lambda row: True):
    """The rows of the table, once so many of a kind are there."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = [row for row in read_system(folder) if where(row)]
        if len(found) >= count:
            return found
        time.sleep(0.01)
    raise AssertionError(f"no such row in {read_system(folder)}")


def is_sampling():
    return any(thread.name == "system" for thread in threading.enumerate())


def test_rows_say_where_training_is(tmp_path):
    sampler = sampler_of(tmp_path)
    sampler.begin(lambda: {"loss": 0.12345678})
    sampler.on_step(3)
    row = rows_of(tmp_path, where=lambda row: row["step"] == 4)[0]
    assert (row["epoch"], row["loss"]) == (1, 0.123457)
    assert row["cpu_percent"] >= 0
    assert row["memory_bytes"] > 1e6
    sampler.on_epoch(1)
    later = rows_of(tmp_path, where=lambda row: row["epoch"] == 2)[0]
    assert later["seconds"] > row["seconds"]
    assert later["epoch_seconds"] < later["seconds"]
    sampler.close()
    assert not is_sampling()


def test_end_writes_the_last_row(tmp_path, monkeypatch):
    monkeypatch.setattr(system_table, "SHORTEST_SECONDS", 60)
    sampler = sampler_of(tmp_path)
    sampler.begin(dict)
    sampler.on_step(9)
    sampler.close()
    assert [row["step"] for row in read_system(tmp_path)] == [10]


def test_wait_that_goes_on_counts(tmp_path):
    sampler = sampler_of(tmp_path)
    with sampler._clock.waiting():
        sampler.begin(dict)
        assert rows_of(tmp_path, 3)[-1]["wait_share"] > 0.9
    sampler.close()


def test_resumed_run_appends_its_rows(tmp_path):
    first = sampler_of(tmp_path)
    first.begin(dict)
    first.on_step(14)
    seconds = rows_of(tmp_path, 2, lambda row: row["step"] == 15)[-1]["seconds"]
    first.close()
    second = sampler_of(tmp_path, resumed_at=15)
    second.begin(dict)
    row = rows_of(tmp_path, where=lambda row: row["epoch"] == 2)[0]
    second.close()
    assert (row["step"], row["epoch_seconds"]) == (15, pytest.approx(row["seconds"] - seconds, abs=0.5))
    assert [row["seconds"] for row in read_system(tmp_path)] == sorted(row["seconds"] for row in read_system(tmp_path))


def test_only_the_leading_rank_samples(tmp_path):
    sampler = sampler_of(tmp_path, leads=False)
    sampler.begin(dict)
    sampler.close()
    assert not is_sampling()
    assert not (tmp_path / "system.csv").exists()


def test_failure_ends_the_thread_alone(tmp_path, caplog):
    sampler = sampler_of(tmp_path / "missing")
    sampler.begin(dict)
    sampler._thread.join(20)
    assert "system.csv ends here" in caplog.text
    sampler.close()


def test_missing_package_for_a_gpu_is_logged(tmp_path, caplog):
    notes = []
    caplog.set_level("INFO", "runner.system")
    sampler = sampler_of(tmp_path, gpus=[{"name": "H100"}], notes=notes)
    sampler.begin(dict)
    sampler.close()
    assert caplog.messages == [
        "system.csv has no columns of the GPU without the package nvidia-ml-py; pip install 'keras-runner[gpu]'"
    ]
    assert notes == []


def test_living_workers_are_sampled(tmp_path):
    alive, ended = SimpleNamespace(pid=7, exitcode=None), SimpleNamespace(pid=8, exitcode=0)
    unstarted = SimpleNamespace(pid=None, exitcode=None)
    assert list(sampler_of(tmp_path, processes=[alive, ended, unstarted])._worker_pids()) == [7]
