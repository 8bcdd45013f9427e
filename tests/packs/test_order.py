"""The order of a pack: pinned, the same in memory and by buckets, and read from the source in its own order."""

import numpy as np
import pytest

from runner.packs.buckets import Buckets, EncodedSample
from runner.packs.encoders import Content
from runner.packs.order import FIRST, BucketOrder, KeptOrder, MemoryOrder, by_hash, hashes_of

IDS = [f"cat/{number}.jpg" for number in range(50)]
GOLDEN_0, GOLDEN_7 = [32, 14, 19, 16, 23, 35, 49, 47, 10, 3], [9, 35, 4, 3, 19, 40, 15, 6, 7, 47]


def test_order_of_a_seed_never_changes():
    assert by_hash(hashes_of(IDS, 0)).tolist()[:10] == GOLDEN_0
    assert by_hash(hashes_of(IDS, 7)).tolist()[:10] == GOLDEN_7


def samples_from(first, bad=()):
    rows = [row for row in range(first, len(IDS)) if row not in bad]
    return (EncodedSample(row, (Content(b"x" * row, ".jpg"), Content(b"", ".png"))) for row in rows)


@pytest.fixture(params=["kept", "memory", "buckets"])
def order(request, tmp_path):
    hashes = hashes_of(IDS, 3)
    if request.param == "kept":
        return KeptOrder(samples_from)
    if request.param == "memory":
        return MemoryOrder(samples_from, hashes)
    return BucketOrder(samples_from, Buckets(tmp_path / "b", hashes, 2, count=7, buffer_bytes=100))


def plain(samples):
    return [(one.row, [(bytes(content.data), content.suffix) for content in one.contents]) for one in samples]


def test_buckets_sort_as_memory_does(tmp_path):
    hashes = hashes_of(IDS, 3)
    buckets = Buckets(tmp_path / "b", hashes, 2, count=7, buffer_bytes=100)
    ways = [MemoryOrder(samples_from, hashes), BucketOrder(samples_from, buckets)]
    one, other = (plain(way.samples(FIRST, lambda sample: None)) for way in ways)
    assert one == other
    assert [row for row, _ in one] == by_hash(hashes).tolist()


def test_order_continues_after_any_row(order):
    whole = plain(order.samples(FIRST, lambda sample: None))
    assert len(whole) == len(IDS)
    for position in (0, 1, 20, len(IDS) - 1):
        assert plain(order.samples(whole[position][0], lambda sample: None)) == whole[position + 1 :]


def test_filled_buckets_are_not_filled_twice(tmp_path):
    buckets = Buckets(tmp_path / "b", hashes_of(IDS, 3), 2, count=7, buffer_bytes=100)
    handled = []
    whole = plain(BucketOrder(samples_from, buckets).samples(FIRST, handled.append))
    assert len(handled) == 2 * len(IDS)
    again = BucketOrder(lambda first: pytest.fail("read again"), buckets)
    assert again.handled(len(IDS), 5) == len(IDS) + 5
    again.finish(whole[30][0])
    rest = plain(again.samples(whole[30][0], handled.append))
    assert rest == whole[31:]
    assert not (tmp_path / "b" / "00000").exists()
    again.close()
    assert not (tmp_path / "b").exists()


def test_interrupted_first_pass_is_done_again(tmp_path):
    buckets = Buckets(tmp_path / "b", hashes_of(IDS, 3), 2, count=7, buffer_bytes=1)

    def broken(first):
        yield from list(samples_from(first))[:20]
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        list(BucketOrder(broken, buckets).samples(FIRST, lambda sample: None))
    assert len(list(BucketOrder(samples_from, buckets).samples(FIRST, lambda sample: None))) == len(IDS)


def test_samples_that_are_bad_leave_no_gap(tmp_path):
    hashes = hashes_of(IDS, 3)
    order = MemoryOrder(lambda first: samples_from(first, bad=(4, 9)), hashes)
    rows = [sample.row for sample in order.samples(FIRST, lambda sample: None)]
    assert rows == [row for row in by_hash(hashes).tolist() if row not in (4, 9)]


def test_buckets_are_about_equally_large(tmp_path):
    hashes = hashes_of([f"{number}.png" for number in range(4000)], 0)
    buckets = Buckets(tmp_path, hashes, 1, count=8, buffer_bytes=1)
    counts = np.bincount([buckets.bucket_of(row) for row in range(4000)])
    assert len(counts) == 8
    assert counts.min() > 400
