import os
import threading

import pytest

from runner.errors import BadSampleError
from runner.place import Place, fetched_bytes, using_fetched


@pytest.fixture
def shard(tmp_path):
    file = tmp_path / "shard"
    file.write_bytes(b"....abcdefgh....")
    return str(file)


class Kept(dict):
    """Bytes by place, as they were fetched."""


def test_part_of_a_file_is_read(shard):
    place = Place(shard, 4, 8, "cat/1.png")
    assert place.read() == b"abcdefgh"
    assert place.head(3) == b"abc"
    assert place.head(30) == b"abcdefgh"
    assert list(place.blocks(3)) == [b"abc", b"def", b"gh"]
    assert place.stat() == (8, os.stat(shard).st_mtime_ns)
    assert place.name == f"{shard}: cat/1.png"
    assert Place(shard).read() == b"....abcdefgh...."
    assert b"".join(Place(shard).blocks(5)) == Place(shard).read()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (Place("shard", 10, 9, "a"), "shard: a: shard ends after 16 bytes, within this sample"),
        (Place("shard", 40, 9, "a"), "shard: a: shard ends after 40 bytes, within this sample"),
        (Place("shard", 3, 0, "a"), "shard: a: empty file"),
        (Place("absent", 0, 1, "a"), "absent: a: no such file"),
        (Place("shard", 0, 2**31, "a"), "shard: a: 2,147,483,648 bytes are too many for a sample, at most 1,073"),
    ],
)
def test_part_that_is_missing_is_refused(shard, monkeypatch, place, reason):
    monkeypatch.chdir(os.path.dirname(shard))
    with pytest.raises(BadSampleError) as caught:
        place.read()
    assert str(caught.value).startswith(reason)


def test_fetched_bytes_are_taken_in_their_thread(shard):
    place, other, seen = Place(shard, 4, 2), Place(shard, 6, 2), []
    with using_fetched(Kept({place: b"XY"})):
        assert place.read() == b"XY"
        assert place.fetch() == b"ab"
        assert other.read() == b"cd"
        thread = threading.Thread(target=lambda: seen.append(place.read()))
        thread.start()
        thread.join()
        with using_fetched(None):
            assert fetched_bytes(place) is None
        assert fetched_bytes(place) == b"XY"
    assert seen == [b"ab"]
    assert place.read() == b"ab"
