"""loader=auto: what it chooses, and why."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import build_loader, compose
from runner.loaders.auto import Auto, Choice, num_processors
from runner.loaders.in_memory import InMemoryLoader
from runner.loaders.kinds import InMemory, Sequence
from runner.loaders.sequence import SequenceLoader
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import plan_loading

KEYS = {
    "cache": "disk",
    "cache_dir": Path("kept"),
    "batch_size": 8,
    "use_multiprocessing": True,
    "max_queue_size": 3,
    "shuffle": False,
    "drop_remainder": True,
    "order": "blocks",
    "block_mb": 8.0,
    "window_mb": 64.0,
    "fetch_ahead": 6,
    "timeout_seconds": 9.0,
}


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_data_within_half_the_memory_is_cached(needed, available):
    choice = Auto().choose(needed, available)
    assert isinstance(choice.settings, InMemory if needed * 2 <= available else Sequence)


def test_reason_is_one_sentence_with_numbers():
    held, streamed = Auto(workers=3).choose(40_000_000, 1_000_000_000), Auto(workers=3).choose(3 * 10**12, 64 * 10**9)
    assert held.reason == "all samples need 40.0 MB, at most half of the 1.0 GB of free memory"
    assert streamed.reason == "all samples need 3.0 TB, more than half of the 64.0 GB of free memory"


@pytest.mark.parametrize("needed", [1, 10**9])
def test_keys_are_handed_on(needed):
    chosen = Auto(**KEYS, workers=5).choose(needed, 1000).settings
    drawn = {"balance": None, "draw_by": None}  # not with order=blocks
    assert chosen.model_dump() == {**KEYS, **drawn, "workers": 5, "kind": chosen.kind}
    for key, value in {"balance": "classes", "draw_by": "age"}.items():
        assert getattr(Auto(**{key: value}).choose(needed, 1000).settings, key) == value


@pytest.mark.parametrize("workers", [0, 1, 7])
def test_requested_workers_are_used(workers):
    assert Auto(workers=workers).choose(1, 1000).settings.workers == workers


@pytest.mark.parametrize("count", [1, 12])
def test_default_is_a_thread_per_processor(monkeypatch, count):
    monkeypatch.setattr("runner.loaders.auto.num_processors", lambda: count)
    settings = Auto().choose(1, 1000).settings
    assert (settings.workers, settings.use_multiprocessing) == (count, False)


def test_one_more_reason_stands_behind_the_first():
    assert (
        Choice(Sequence(), "big").with_reason("1 thread reads 9 samples/s").reason == "big; 1 thread reads 9 samples/s"
    )


def test_processors_are_those_of_this_process():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert num_processors() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert 1 <= num_processors() <= len(allowed)


@pytest.mark.parametrize(("free", "kind"), [(10**9, InMemoryLoader), (150_000, SequenceLoader)])
def test_loader_is_what_was_chosen(monkeypatch, digits_root, free, kind):
    monkeypatch.setattr("runner.modes.pipeline.available_bytes", lambda **_: free)
    keys = [f"data.root={digits_root}", "loader=auto", "loader.batch_size=4", "loader.workers=1"]
    with build_loader(compose(keys)) as loader:
        assert type(loader) is kind
        assert len(next(loader.epoch(0))) == 4


def test_auto_reads_less_ahead_to_fit_memory(monkeypatch, digits_root):
    monkeypatch.setattr("runner.modes.pipeline.available_bytes", lambda **_: 20_000)
    config = compose([f"data.root={digits_root}", "loader=auto", "loader.workers=1"])
    plan = plan_loading(config, open_dataset(config), ("train",))
    assert (plan.settings.kind, plan.settings.max_queue_size) == ("sequence", 5)
    assert plan.needed_bytes <= 20_000
    assert plan.choice.reason.endswith("; 5 batches ahead, to fit")
