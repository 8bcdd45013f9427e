"""Windows of blocks: the same batches as without, whoever reads them; one seek a block; two windows in memory."""

import itertools
import os
import threading
import time

import numpy as np
import pytest

from runner.data.views import select
from runner.errors import BadSampleError, StorageError, WorkerError
from runner.loaders.blocks import cut_blocks
from runner.loaders.cache import with_cache
from runner.loaders.kinds import DirectoryFlow, Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from tests.support.large_files import Disk, write_large_files

pytestmark = pytest.mark.usefixtures("forked_workers")

SIZES = {"order": "blocks", "block_mb": 0.01, "window_mb": 0.1, "batch_size": 8}
WAYS = {
    "generator": Generator(**SIZES),
    "sequence in the caller": Sequence(**SIZES, workers=0),
    "sequence, 1 thread": Sequence(**SIZES, workers=1),
    "sequence, 4 threads": Sequence(**SIZES, workers=4, max_queue_size=30),
    "sequence, 2 processes": Sequence(**SIZES, workers=2, use_multiprocessing=True),
    "sequence, kept in memory": Sequence(**SIZES, workers=2, cache="memory"),
    "in_memory": InMemory(**SIZES, workers=2),
    "in_memory in the caller": InMemory(**SIZES, workers=0),
    "directory_flow": DirectoryFlow(**SIZES, workers=2),
}
THREADS = WAYS["sequence, 4 threads"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_large_files(tmp_path_factory.mktemp("packs"))


def plan_of(source, settings=THREADS, **fields):
    blocks = cut_blocks(source, block_mb=settings.block_mb, window_mb=settings.window_mb)
    return Plan(**{"num_samples": len(source), "batch_size": 8, "seed": 1, "blocks": blocks, **fields})


def build(source, settings=THREADS, **fields):
    return settings.build(with_cache(source, settings, None), plan_of(source, settings, **fields))


def expected(source, plan, epoch):
    """The batches of an epoch, each sample read by itself."""
    return [
        [source.read(index).tolist() for index in plan.batch(epoch, step).indices] for step in range(plan.num_steps)
    ]


def taken(batches):
    return [batch.x.tolist() for batch in batches]


@pytest.mark.parametrize("way", WAYS)
def test_batches_are_those_of_single_reads(way, source):
    with build(source, WAYS[way]) as loader:
        assert len(loader.plan.blocks.order(1, 0).windows) > 5
        for epoch in range(2):
            assert taken(loader.epoch(epoch)) == expected(source, loader.plan, epoch)
        assert taken(loader.epoch(3, start=20)) == expected(source, loader.plan, 3)[20:]


@pytest.mark.parametrize("way", ["generator", "sequence, 1 thread", "sequence, 4 threads"])
def test_stream_begins_anywhere_and_crosses_passes(way, source):
    with build(source, WAYS[way]) as loader:
        whole = [batch for epoch in range(3) for batch in expected(source, loader.plan, epoch)]
        for first in (0, 23, 49, 50, 77):
            assert taken(loader.stream(first, 60)) == whole[first : first + 60]
        assert taken(itertools.islice(loader.stream(45), 60)) == whole[45:105]


@pytest.mark.parametrize("way", ["generator", "sequence, 1 thread", "sequence, 4 threads", "in_memory"])
def test_batch_in_many_windows_is_read(way, source):
    settings = WAYS[way].model_copy(update={"block_mb": 0.004, "window_mb": 0.004})
    with build(source, settings) as loader:
        order, plan = loader.plan.blocks.order(1, 0), loader.plan
        assert max(len(order.windows_of(*plan.positions(step))) for step in range(plan.num_steps)) > 3
        assert taken(loader.epoch(0)) == expected(source, plan, 0)


def test_unshuffled_pass_follows_the_files(source):
    with build(source, shuffle=False) as loader:
        numbers = [number for batch in taken(loader.epoch(0)) for number, _ in batch]
    spans = source.spans()
    assert numbers == np.lexsort((spans.offset, spans.file)).tolist()


def test_two_passes_at_once_have_their_batches(source):
    with build(source) as loader:
        pairs = list(zip(loader.epoch(0), loader.epoch(1), strict=True))
        for number, epoch in enumerate((0, 1)):
            assert taken(pair[number] for pair in pairs) == expected(source, loader.plan, epoch)


@pytest.mark.parametrize("way", ["generator", "sequence, 4 threads", "in_memory", "directory_flow"])
def test_a_block_takes_one_seek(way, source, monkeypatch):
    disk = Disk(monkeypatch)
    with build(source, WAYS[way]) as loader:
        list(loader.epoch(0))
        assert disk.seeks <= len(loader.plan.blocks.num_bytes) < len(source) / 5


def test_random_order_takes_a_seek_a_sample(source, monkeypatch):
    disk = Disk(monkeypatch)
    with build(source, blocks=None) as loader:
        list(loader.epoch(0))
    assert disk.seeks > 0.9 * len(source)


def test_samples_in_a_cache_are_not_read_again(source, monkeypatch):
    with build(source, WAYS["sequence, kept in memory"]) as loader:
        list(loader.epoch(0))
        disk = Disk(monkeypatch)
        again = taken(loader.epoch(1))
        assert disk.seeks == 0
        assert again == expected(source, loader.plan, 1)


def test_buffers_are_as_large_as_stated(source):
    with build(source) as loader:
        list(loader.epoch(0))
        sizes = [shared.array.nbytes for shared in loader.windows.buffers]
    assert len(sizes) == 2
    assert sum(sizes) <= THREADS.window_bytes(source) < 2 * 110_000


def test_small_data_takes_no_whole_window(tmp_path):
    source = write_large_files(tmp_path, num_samples=20, num_files=1)
    total = os.path.getsize(source.spans().files[0])
    assert Sequence(**SIZES | {"window_mb": 1000}).window_bytes(source) <= 2 * total


@pytest.fixture
def own(tmp_path):
    """A source whose files a test may damage."""
    return write_large_files(tmp_path)


@pytest.mark.parametrize("way", ["generator", "sequence, 4 threads", "sequence, 2 processes"])
def test_sample_past_the_end_of_its_file_is_named(way, own):
    spans = own.spans()
    last = int(np.argmax(np.where(spans.file == 1, spans.offset, -1)))
    os.truncate(spans.files[1], spans.offset[last] + 4)
    with build(own, WAYS[way]) as loader, pytest.raises(BadSampleError, match=f"1.pack: {last:06d}.bin: .* ends after"):
        list(loader.epoch(0))
    with build(own, WAYS[way]) as loader:
        noted = []
        loader.handle_bad(OnBad("skip"), lambda *bad: noted.append(bad))
        assert sum(map(len, loader.epoch(0))) == len(own) - 1
    assert [name for name, *_ in noted] == [own.ids[last]]


def test_lost_storage_ends_the_run(own):
    for file in own.spans().files:
        os.rename(file, file + ".gone")
        os.mkdir(file)
    with build(own) as loader, pytest.raises(StorageError, match="cannot be read any more"):
        list(loader.epoch(0))


def test_holes_are_read_through(source, monkeypatch):
    held = select(source, np.arange(0, len(source), 10))
    disk = Disk(monkeypatch)
    with build(held) as loader:
        got = taken(loader.epoch(0))
        seeks = disk.seeks
        assert got == expected(held, loader.plan, 0)
        assert seeks <= len(loader.plan.blocks.num_bytes)


def loader_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("loader")}


@pytest.mark.parametrize("way", ["generator", "sequence, 4 threads", "sequence, 2 processes"])
def test_windows_left_in_the_middle_leave_nothing(way, source):
    before = loader_threads()
    loader = build(source, WAYS[way])
    batches = loader.epoch(0)
    next(batches)
    batches.close()
    assert taken(loader.epoch(1)) == expected(source, loader.plan, 1)
    batches = loader.epoch(2)
    next(batches)
    loader.close()
    assert loader_threads() <= before
    batches.close()


def test_storage_that_hangs_ends_the_run(source, monkeypatch):
    released, returned = threading.Event(), []

    def hang(*_):
        released.wait(60)
        returned.append(1)
        return 0

    monkeypatch.setattr(os, "preadv", hang)
    settings = THREADS.model_copy(update={"timeout_seconds": 1.0})
    hangs = pytest.raises(WorkerError, match="loader.timeout_seconds=1; the storage may hang")
    try:
        with build(source, settings) as loader, hangs:
            list(loader.epoch(0))
        assert not returned
    finally:
        released.set()


@pytest.mark.parametrize("way", ["generator", "sequence, 4 threads", "in_memory"])
def test_reading_of_windows_counts_as_reading(way, source, monkeypatch):
    calls, preadv = [], os.preadv

    def slow(*arguments):
        time.sleep(0.01)
        calls.append(1)
        return preadv(*arguments)

    monkeypatch.setattr(os, "preadv", slow)
    with build(source, WAYS[way]) as loader:
        list(loader.epoch(0))
        assert len(calls) >= len(loader.plan.blocks.num_bytes)
        assert loader.clock.wait(1.0, 1.0).reasons["fetch"] >= 0.01 * len(calls)
