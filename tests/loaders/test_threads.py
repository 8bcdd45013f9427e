"""Threads that hang, fail or are forgotten."""

import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from runner.errors import WorkerError
from runner.loaders.draw import Draw
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.loaders.reader import SampleReader, allocate
from runner.loaders.threads import Threads
from runner.loaders.timing import Clock

HANGING = """
import time
import numpy as np
from runner.data.labels import NO_LABELS
from runner.data.source import Source
from runner.loaders.timing import Clock
from runner.loaders.draw import Draw
from runner.loaders.reader import SampleReader
from runner.loaders.threads import Threads
from runner.batch import ArraySpec

class Hanging(Source):
    spec, ids, labels = ArraySpec((1,), np.dtype(np.uint8)), ("a",), NO_LABELS
    def __len__(self): return 1
    def read(self, index, out=None): time.sleep(3600)

threads = Threads(SampleReader(Hanging()), 2, 0.1, Clock())
try:
    threads.submit(Draw.of_pass(np.arange(1), 0)).result()
except Exception as error:
    print(type(error).__name__)
"""


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_hanging_thread_does_not_block_close(obedient):
    source = obedient("hang")  # it would hang for good
    loader = Sequence(workers=2, timeout_seconds=0.2).build(source, Plan(8, 2))
    with loader, pytest.raises(WorkerError, match=r"no batch within loader\.timeout_seconds=0\.2; .*: raise loader"):
        next(loader.epoch(0))
    source.order = "obey"
    for thread in readers():
        thread.join(5)
    assert readers() == []


def test_hanging_thread_does_not_block_exit():
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("WorkerError\n", "")


def test_threads_close_at_once_after_a_bad_sample(obedient, monkeypatch):
    monkeypatch.setattr("runner.loaders.workers.CLOSE_SECONDS", 300)
    loader = Sequence(workers=1).build(obedient("fail", 64), Plan(64, 2, shuffle=False))
    with pytest.raises(OSError, match="sample 0 is bad"):
        next(loader.epoch(0))
    begun = time.monotonic()
    loader.close()
    assert time.monotonic() - begun < 100
    assert readers() == []


def test_unclosed_threads_end_with_their_pool(obedient):
    threads = Threads(SampleReader(obedient("obey")), 2, 60, Clock())
    threads.submit(Draw.of_pass(np.arange(8), 0)).result()
    del threads
    gc.collect()
    assert readers() == []


def test_closed_threads_read_no_more(obedient):
    threads = Threads(SampleReader(obedient("obey")), 1, 60, Clock())
    threads.close()
    threads.close()
    with pytest.raises(RuntimeError, match="cannot read: the loader is closed"):
        threads.submit(Draw.of_pass(np.arange(2), 0))


def test_concurrent_epochs_share_one_pool(obedient):
    with Sequence(workers=2).build(obedient("doze"), Plan(8, 2)) as loader:
        both = [threading.Thread(target=lambda: list(loader.epoch(0))) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert len(readers()) == 2


def test_batch_takes_memory_when_its_turn_comes(obedient, monkeypatch):
    made = []

    def counted(spec, num_samples):
        made.append(num_samples)
        return allocate(spec, num_samples)

    monkeypatch.setattr("runner.loaders.threads.allocate", counted)
    source = obedient("hang")
    threads = Threads(SampleReader(source), 1, 60, Clock())
    pending = [threads.submit(Draw.of_pass(np.arange(count), 0)) for count in (3, 4, 5, 6)]
    while not made:
        time.sleep(0.001)
    time.sleep(0.02)
    assert made == [3]
    source.order = "obey"
    assert [len(one.result().x) for one in pending] == made == [3, 4, 5, 6]
    threads.close()
