"""The time limit for reads in the main thread, which is blocked meanwhile."""

import os
import threading
import time
from contextlib import closing

import pytest

import runner
from runner import watchdog as module
from runner.errors import WorkerError
from runner.loaders.kinds import DirectoryFlow, Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from runner.place import Place
from runner.watchdog import Watchdog, watched
from tests.support.sources import ObedientSource

LATE = r"^the file could not be read within loader\.timeout_seconds=0\.05; .*: raise loader\.timeout_seconds$"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "TICK_SECONDS", 0.05)


def read(block, timeout=0.05, give_up=lambda error: None):
    with closing(Watchdog(timeout, give_up)) as watchdog, watchdog.watching(), watched(lambda: "the file"):
        return block()


def sleep_for_good():
    time.sleep(1e6)


def test_blocked_open_is_interrupted(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WorkerError, match=LATE):
        read((tmp_path / "pipe").read_bytes)


def test_code_that_catches_all_is_ended_too():
    def stubborn():
        with pytest.raises(WorkerError):
            sleep_for_good()
        return "a made-up sample"

    with pytest.raises(WorkerError, match=LATE):
        read(stubborn)


def test_read_that_ignores_it_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    given_up = threading.Event()

    def deaf():
        while not given_up.is_set():
            with pytest.raises(WorkerError):
                sleep_for_good()

    with pytest.raises(WorkerError, match=LATE):
        read(deaf, give_up=lambda error: given_up.set())


def test_each_read_has_its_own_time():
    def several():
        for _ in range(6):
            with watched(lambda: "one of them"):
                time.sleep(0.1)
        return "read"

    assert read(several, timeout=0.3) == "read"


def test_stop_of_the_process_is_no_hang(monkeypatch):
    """A stop makes one look of the watchdog as late as it likes."""
    monkeypatch.setattr(module, "TICK_SECONDS", 0.5)
    watchdog, looks = Watchdog(3.0), []

    def stopped_once(seconds):
        looks.append(seconds)  # the first one takes an hour
        return len(looks) == 7

    monkeypatch.setattr(watchdog._closed, "wait", stopped_once)
    monkeypatch.setattr(watchdog._closed, "is_set", lambda: len(looks) == 7)
    with watchdog.watching(), watched(lambda: "the file"):
        watchdog._thread.join()
    assert looks == [0.5] * 7


def test_other_threads_are_not_interrupted():
    read_there = []
    thread = threading.Thread(target=lambda: read_there.append(read(lambda: time.sleep(0.3) or "read")))
    thread.start()
    thread.join()
    assert read_there == ["read"]


def test_closed_watchdog_leaves_no_thread():
    assert read(lambda: "read") == "read"
    assert [thread.name for thread in threading.enumerate() if thread.name == "watchdog"] == []


@pytest.mark.parametrize("settings", [Generator(), *(kind(workers=0) for kind in (Sequence, InMemory, DirectoryFlow))])
def test_loader_without_workers_has_a_limit(settings):
    loader = type(settings).build(settings.model_copy(), FileSource("hang"), Plan(8, 2, shuffle=False))
    loader.watchdog = Watchdog(0.05)
    with loader, pytest.raises(WorkerError, match=r"^one of the samples s0, s1.* could not be read within"):
        next(loader.epoch(0))


class FileSource(ObedientSource):
    def places(self, index):
        return (Place(module.__file__),)


SOURCE = """
import time

class Hanging:
    labels = [0, 1] * 10
    def __init__(self, at): self.at = at
    def __len__(self): return 20
    def read(self, index):
        if index >= self.at: time.sleep(1e6)
        return [float(index)]
"""


@pytest.mark.parametrize(
    ("at", "keys", "named"),
    [
        (0, ["mode=fit"], "the first training sample"),
        (1, ["mode=fit"], r"sample \d+"),  # to be pictured
        (10, ["mode=check", "loader.batch_size=4", "loader.workers=0"], "sample 10"),
    ],
)
def test_run_ends_at_a_sample_that_hangs(at, keys, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hanging.py").write_text(SOURCE)
    given = ["data=custom", "data.target=hanging.Hanging", f"+data.arguments.at={at}", "extensions=[hanging]"]
    config = runner.compose([*given, *keys, "loader.timeout_seconds=0.05", "seed=0"])
    with pytest.raises(WorkerError, match=rf"^{named} could not be read within loader\.timeout_seconds=0\.05;"):
        runner.run(config, folder=tmp_path)
    with pytest.raises(WorkerError, match=r"within loader\.timeout_seconds=0\.05"):
        list(runner.build_loader(config).epoch(0))
