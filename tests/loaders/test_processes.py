"""What the pool of processes does with its processes and its shared memory."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.errors import WorkerError
from runner.loaders.draw import Draw
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.loaders.processes import Processes
from runner.loaders.reader import SampleReader
from runner.loaders.timing import Clock

FORGOTTEN = """
import sys
import runner

if __name__ == "__main__":
    keys = [f"data.root={sys.argv[1]}", "loader.workers=1", f"loader.use_multiprocessing={sys.argv[2]}"]
    loader = runner.build_loader(runner.compose(keys))
    batches = loader.epoch(0)
    print(len(next(batches)))
"""


def shared_memory(pid=None):
    pid = pid or os.getpid()
    return {name for name in os.listdir("/dev/shm") if name.startswith(f"keras-runner-{pid}-")}


def load(source, **settings):
    settings = Sequence(**{"workers": 1, "use_multiprocessing": True, **settings})
    return settings.build(source, Plan(len(source), 2, shuffle=False))


def assert_nothing_left(threads):
    assert multiprocessing.active_children() == []
    assert threading.active_count() <= threads
    assert not shared_memory()


def test_all_hanging_processes_are_ended(obedient):
    threads = threading.active_count()
    with load(obedient("hang"), workers=3, timeout_seconds=3.0) as loader:
        with pytest.raises(WorkerError, match=r"loader\.timeout_seconds=3;"):
            next(loader.epoch(0))
        assert_nothing_left(threads)


def test_process_death_between_batches_is_an_error(obedient):
    threads = threading.active_count()
    with load(obedient("die", since=4), max_queue_size=1) as loader:
        batches = loader.epoch(0)
        next(batches)
        with pytest.raises(WorkerError, match="a worker process died"):
            list(batches)
        assert_nothing_left(threads)


def test_broken_pool_takes_no_more_work(obedient):
    pool = Processes(SampleReader(obedient("die", since=2)), 1, 60, Clock())
    try:
        with pytest.raises(WorkerError, match="a worker process died"):
            pool.submit(Draw.of_pass(np.array([2]), 0)).result()
        with pytest.raises(WorkerError, match="a worker process died"):
            pool.submit(Draw.of_pass(np.array([0]), 0))
    finally:
        pool.close()


def test_epoch_after_a_dead_worker_starts_others(obedient):
    with load(obedient("die", since=4)) as loader:
        with pytest.raises(WorkerError):
            list(loader.epoch(0))
        assert next(loader.epoch(0)).ids == ("s0", "s1")


def test_memory_of_a_failed_batch_is_used_again(obedient):
    with load(obedient("fail", since=6), max_queue_size=2) as loader:
        for _ in range(3):
            with pytest.raises(OSError, match="sample 6 is bad"):
                list(loader.epoch(0))
        assert len(shared_memory()) <= 4


def test_memory_in_use_by_a_process_is_kept(obedient):
    pool = Processes(SampleReader(obedient("doze", 64)), 1, 60, clock := Clock())
    try:
        for _ in range(5):
            pool.submit(Draw.of_pass(np.arange(32), 0)).cancel()
            rows = pool.submit(Draw.of_pass(np.arange(32, 64), 0)).result().x
            assert rows[:, 0].tolist() == list(range(32, 64))
        assert {child.pid for child in clock.processes} == {child.pid for child in multiprocessing.active_children()}
    finally:
        pool.close()


def test_full_shared_memory_suggests_a_fix(obedient):
    source = obedient("obey")
    source.spec = ArraySpec((1 << 42,), np.dtype(np.uint8))
    pool = Processes(SampleReader(source), 1, 60, Clock())
    try:
        with pytest.raises(WorkerError, match=r"/dev/shm has no room for a batch of 4\.4 TB; .*docker.*--shm-size"):
            pool.submit(Draw.of_pass(np.arange(1), 0))
    finally:
        pool.close()
    assert not shared_memory()


@pytest.mark.parametrize("use_multiprocessing", ["true", "false"])
def test_unclosed_loader_ends_with_its_program(use_multiprocessing, digits_root, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(FORGOTTEN)
    begun = time.monotonic()
    command = [sys.executable, script, digits_root, use_multiprocessing]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=60) == ("32\n", "")
    assert process.returncode == 0
    assert time.monotonic() - begun < 30
    assert not shared_memory(process.pid)
