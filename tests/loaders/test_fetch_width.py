import pytest

from runner.errors import BadSampleError
from runner.loaders.fetch_width import MOST_THREADS, TimedFetches, reads_at_once, serves_at_once
from runner.place import Place, using_fetched


@pytest.mark.parametrize(
    ("fetch_ms", "decode_ms", "workers", "expected"),
    [
        (0.1, 5, 4, 0),  # a local disk
        (1.9, 5, 4, 0),
        (50, 5, 4, 40),
        (50, 5, 12, MOST_THREADS),
        (4, 40, 4, 5),  # decoding is slow: one more than the workers
        (50, 0, 1, MOST_THREADS),
    ],
)
def test_slow_storage_is_read_many_at_once(fetch_ms, decode_ms, workers, expected):
    assert reads_at_once([fetch_ms / 1000] * 5, decode_ms / 1000, workers) == expected


def test_some_slow_reads_do_not_count():
    assert reads_at_once([0.0001] * 9 + [0.5] * 3, 0.005, 4) == 0
    assert reads_at_once([], 0.005, 4) == 0


@pytest.mark.parametrize(
    ("alone_ms", "together_ms", "before", "now", "expected"),
    [
        (50, 50, 4, 40, True),  # a network: as many reads as one likes, each as fast
        (50, 200, 4, 40, True),
        (12, 120, 4, 40, False),  # a disk that seeks: each waits for all others
        (12, 90, 4, 40, False),
        (4, 4, 4, 5, True),
        (4, 5, 4, 5, True),
        (4, 5.1, 4, 5, False),
    ],
)
def test_disk_that_seeks_is_left_alone(alone_ms, together_ms, before, now, expected):
    assert serves_at_once([alone_ms / 1000] * 5, [together_ms / 1000] * 7, before, now) is expected


def test_fetches_are_timed(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    timed = TimedFetches()
    with using_fetched(timed):
        assert Place(str(tmp_path / "a")).read() == b"abc"
        with pytest.raises(BadSampleError, match="absent: no such file"):
            Place(str(tmp_path / "absent")).read()
    (seconds,) = timed.seconds
    assert seconds > 0
