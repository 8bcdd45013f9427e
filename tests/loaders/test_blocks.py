"""The blocks of a source: data without them is refused, small windows are, and gaps are reported."""

import numpy as np
import pytest

from runner import build_loader, compose
from runner.data.labels import NO_LABELS
from runner.data.places import MemberPlaces
from runner.data.stored_samples import StoredSamples
from runner.errors import DataError
from runner.loaders.block_order import BlockTable
from runner.loaders.blocks import MEBIBYTE, NUM_WINDOWS, cut_blocks, gap_note, most_window_bytes, refuse_small_windows
from runner.loaders.plan import Plan
from tests.support.large_files import NumberDecoder, write_large_files
from tests.support.sources import NumberSource


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_large_files(tmp_path_factory.mktemp("packs"))


def test_data_of_single_files_is_refused(digits_root):
    message = "loader.order=blocks must .* but each sample of this data is a file; .*, or set loader.order=random"
    for key in ("loader=sequence", "loader=in_memory", "loader=directory_flow", "loader=auto"):
        with pytest.raises(DataError, match=message):
            build_loader(compose([f"data.root={digits_root}", key, "loader.order=blocks"]))


def test_data_without_files_is_refused():
    with pytest.raises(DataError, match="but this data has no such files; "):
        cut_blocks(NumberSource(5), block_mb=1, window_mb=1)


@pytest.mark.parametrize(("block_mb", "window_mb"), [(0.01, 0.1), (0.001, 0.1), (0.1, 0.01), (1, 1), (0.002, 0.002)])
def test_memory_of_windows_is_stated(source, block_mb, window_mb):
    table = cut_blocks(source, block_mb=block_mb, window_mb=window_mb)
    stated = most_window_bytes(source, block_mb=block_mb, window_mb=window_mb)
    assert NUM_WINDOWS * table.largest_window_bytes <= stated
    assert stated < 1.5 * NUM_WINDOWS * table.largest_window_bytes + 6000


def table_of(counts, sizes, window_bytes):
    firsts = np.cumsum([0, *counts])
    return BlockTable(np.arange(firsts[-1]), firsts, np.array(sizes), window_bytes)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 9, 30])
def test_windows_that_are_accepted_hold_a_batch(batch_size):
    rng, num_accepted = np.random.default_rng(batch_size), 0
    for seed in range(300):
        counts = rng.integers(1, 9, int(rng.integers(1, 30)))
        table = table_of(counts, rng.integers(1, 9, len(counts)) * counts, int(rng.integers(1, 400)))
        try:
            refuse_small_windows(table, batch_size)
        except DataError:
            continue
        num_accepted += 1
        order, plan = table.order(seed, 0), Plan(table.num_samples, batch_size)
        assert max(len(order.windows_of(*plan.positions(step))) for step in range(plan.num_steps)) <= NUM_WINDOWS
    assert num_accepted > 30


def test_windows_that_are_too_small_are_refused():
    size = 3 * MEBIBYTE
    table = table_of([2] * 9, [size] * 9, 7 * MEBIBYTE)
    refuse_small_windows(table, 3)
    message = (
        r"^loader.window_mb=7 is too small for batches of 8 samples in blocks of up to 3.1 MB; "
        "set loader.window_mb=14, or lower loader.batch_size or loader.block_mb$"
    )
    with pytest.raises(DataError, match=message):
        refuse_small_windows(table, 8)
    refuse_small_windows(table_of([2] * 9, [size] * 9, 14 * MEBIBYTE), 8)
    refuse_small_windows(table_of([2] * 2, [size] * 2, 2 * size), 32)


def spread(num_samples, size, distance):
    """Samples of `size` bytes, each `distance` bytes after the one before."""
    offset = np.arange(num_samples) * distance
    names = tuple(map(str, range(num_samples)))
    places = MemberPlaces(("a.tar",), np.zeros(num_samples, np.int32), offset, np.full(num_samples, size), names)
    return StoredSamples(places, names, NO_LABELS, NumberDecoder())


@pytest.mark.parametrize(
    ("size", "distance", "share"),
    [(100_000, 101_000, None), (100, 2600, None), (100_000, 300_000, 34), (100, 26_000, 0), (10**5, 10**7, None)],
)
def test_gaps_between_samples_are_reported(size, distance, share):
    source = spread(1000, size, distance)
    note = gap_note("validation", source, cut_blocks(source, block_mb=32, window_mb=1024))
    expected = None if share is None else f"validation: with loader.order=blocks {share}% of the bytes read are samples"
    assert note == expected or note.startswith(expected)


def test_order_without_blocks_has_no_gaps(source):
    assert gap_note("train", source, None) is None
