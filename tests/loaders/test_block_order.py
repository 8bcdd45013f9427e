"""The order by blocks: each sample once, any position directly, windows within their bytes, blocks of any size."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.data.places import Spans, Stored
from runner.loaders.block_order import SEEK_BYTES, BlockTable, reads
from runner.loaders.plan import BLOCK, Plan

COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=40).filter(any)


def table_of(counts, window_bytes=100, bytes_each=10, sizes=None):
    """A table of blocks with these counts of samples, whose samples are numbered backwards."""
    firsts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    num_bytes = np.array(counts, np.int64) * bytes_each if sizes is None else np.array(sizes, np.int64)
    return BlockTable(np.arange(firsts[-1], dtype=np.int32)[::-1], firsts, num_bytes, window_bytes)


TABLES = st.builds(table_of, COUNTS, st.integers(1, 500), st.integers(1, 99))
SEEDS = st.none() | st.integers(0, 2**64)


def whole(table, seed=0, epoch=0):
    return table.order(seed, epoch)(np.arange(table.num_samples)).tolist()


def test_order_golden():
    # Changes only with a major version: everyone's runs would repeat with other batches.
    table = table_of([3, 0, 2, 4, 1, 3], window_bytes=60)
    assert whole(table, seed=5) == [1, 3, 0, 2, 8, 9, 6, 5, 7, 4, 12, 10, 11]
    assert whole(table, seed=5, epoch=1) == [3, 4, 5, 6, 7, 9, 8, 0, 1, 2, 10, 12, 11]
    assert whole(table, seed=None) == list(range(13))[::-1]


@settings(deadline=None)
@given(TABLES, SEEDS, st.integers(0, 10**6))
def test_epoch_holds_each_sample_once(table, seed, epoch):
    assert sorted(whole(table, seed, epoch)) == list(range(table.num_samples))


@settings(deadline=None)
@given(TABLES, SEEDS, st.integers(0, 100), st.data())
def test_any_position_is_computed_directly(table, seed, epoch, data):
    positions = data.draw(st.lists(st.integers(0, table.num_samples - 1), max_size=9))
    alone, order = table.order(seed, epoch)(np.array(positions, np.int64)), whole(table, seed, epoch)
    assert alone.tolist() == [order[position] for position in positions]
    assert alone.dtype == np.int64


@settings(deadline=None)
@given(TABLES, SEEDS, st.integers(0, 100))
def test_windows_are_within_their_bytes(table, seed, epoch):
    order, samples = table.order(seed, epoch), whole(table, seed, epoch)
    seen = []
    for window in range(len(order.windows) - 1):
        blocks = order.blocks_of(window)
        taken = table.num_bytes[blocks].sum()
        assert taken <= max(table.window_bytes, table.num_bytes.max())
        assert taken <= table.largest_window_bytes
        start, stop = order.window_starts[window : window + 2]
        assert sorted(samples[start:stop]) == sorted(np.concatenate([table.members_of(block) for block in blocks]))
        assert list(order.windows_of(start, stop)) == [window]
        seen += blocks.tolist()
    assert sorted(seen) == np.flatnonzero(np.diff(table.firsts)).tolist()


def test_window_takes_as_many_blocks_as_fit():
    order = table_of([1] * 7, window_bytes=30).order(0, 0)
    assert order.windows.tolist() == [0, 3, 6, 7]
    assert order.window_starts.tolist() == [0, 3, 6, 7]
    assert [list(order.windows_of(*span)) for span in ((0, 3), (2, 4), (0, 7), (6, 7))] == [[0], [0, 1], [0, 1, 2], [2]]


def test_seeds_and_epochs_give_other_orders():
    table = table_of([5] * 20)
    assert len({tuple(whole(table, seed, epoch)) for seed in range(10) for epoch in range(10)}) == 100


def test_order_of_the_files_is_that_of_every_epoch():
    table = table_of([5] * 20)
    assert whole(table, None, 3) == whole(table, None, 0) == table.members.tolist()


def test_each_place_is_as_likely_for_every_sample():
    table, epochs = table_of([3] * 4, window_bytes=60), 600
    orders = np.array([whole(table, 0, epoch) for epoch in range(epochs)])
    counts = np.stack([np.bincount(column, minlength=12) for column in orders.T])
    chi2 = ((counts - epochs / 12) ** 2 / (epochs / 12)).sum() * 11 / 12
    assert stats.chi2.sf(chi2, 11**2) > 1e-3


def spans_of(*files, size=10):
    """Number, offset and size of samples at these offsets, file by file."""
    file = np.repeat(np.arange(len(files), dtype=np.int32), [len(offsets) for offsets in files])
    offset = np.concatenate([np.array(offsets, np.int64) for offsets in files])
    return Spans(tuple(map(str, range(len(files)))), file, offset, np.full(len(file), size, np.int64))


def test_blocks_are_parts_of_one_file():
    table = BlockTable.cut(spans_of([40, 0, 25], [0, 95, 10]), block_bytes=32, window_bytes=100)
    assert [table.members_of(block).tolist() for block in range(4)] == [[1, 2], [0], [3, 5], [4]]
    assert table.num_bytes.tolist() == [35, 10, 20, 10]


def test_file_without_samples_has_no_block():
    table = BlockTable.cut(spans_of([0, 10], [], [5]), block_bytes=32, window_bytes=100)
    assert table.firsts.tolist() == [0, 2, 3]


def test_large_gaps_are_not_read():
    far = SEEK_BYTES + 11
    table = BlockTable.cut(spans_of([0, SEEK_BYTES + 10], [0, far, far + 20]), block_bytes=10**9, window_bytes=1)
    assert table.num_bytes.tolist() == [SEEK_BYTES + 20, 40]
    begins = np.array([0, far, far + 20])
    assert list(reads(begins, begins + 10)) == [(0, 10), (far, far + 30)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3 * SEEK_BYTES)), min_size=1, max_size=30), st.randoms())
def test_bytes_of_a_block_are_those_of_its_reads(found, random):
    found = [*dict.fromkeys(found)]
    random.shuffle(found)
    file, offset = (np.array(column) for column in zip(*found, strict=True))
    size = np.full(len(file), 1000)
    spans = Spans(tuple("abcde"), file.astype(np.int32), offset, size)
    table = BlockTable.cut(spans, block_bytes=4 * SEEK_BYTES, window_bytes=1)
    assert sorted(table.members.tolist()) == list(range(len(file)))
    order = np.lexsort((offset, file))
    stored = spans._replace(stored=Stored(order.astype(np.int32), offset[order], size[order]))
    assert BlockTable.cut(stored, block_bytes=4 * SEEK_BYTES, window_bytes=1) == table
    for block in range(len(table.num_bytes)):
        members = table.members_of(block)
        assert len(set(file[members])) == 1
        assert (np.diff(offset[members]) > 0).all()
        parts = list(reads(offset[members], offset[members] + 1000))
        assert table.num_bytes[block] == sum(end - begin for begin, end in parts)


def test_plan_goes_through_blocks():
    table = table_of([300] * 40, window_bytes=9000)
    plan = Plan(num_samples=12_000, batch_size=70, seed=3, blocks=table)
    batches = np.concatenate([plan.batch(2, step).indices for step in range(plan.num_steps)])
    assert batches.tolist() == whole(table, 3, 2)
    assert len(batches) > BLOCK
    unshuffled = Plan(num_samples=12_000, batch_size=70, shuffle=False, blocks=table)
    assert unshuffled.batch(1, 1).indices.tolist() == table.members[70:140].tolist()


def test_plan_of_other_blocks_is_refused():
    with pytest.raises(ValueError, match="^num_samples must be the 5 of the blocks, got 6$"):
        Plan(num_samples=6, batch_size=2, blocks=table_of([5]))


def test_blocks_keep_equality_and_pickle_of_plans():
    one, other = (Plan(50, 8, 1, blocks=table_of([5] * 10)) for _ in range(2))
    one.batch(0, 0)
    assert one == other
    assert hash(one) == hash(other)
    assert one != Plan(50, 8, 1, blocks=table_of([10] * 5))
    assert one != Plan(50, 8, 1)
    assert (pickle.loads(pickle.dumps(one)).batch(3, 5).indices == other.batch(3, 5).indices).all()


def test_epoch_takes_memory_for_blocks_only():
    table = table_of([1000] * 1000, window_bytes=10**5)
    plan = Plan(num_samples=10**6, batch_size=32, blocks=table)
    hash(table)
    tracemalloc.start()
    try:
        for epoch in range(4):
            plan.batch(epoch, 9)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10**6  # an array of all samples would take 8 MB
