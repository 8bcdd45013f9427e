import gc
import threading
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadSampleError
from runner.loaders.fetch_ahead import JOINED_GAP, MOST_JOINED, FetchAhead, joined
from runner.place import Place

LIMIT = 1 << 20


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fetch-")]


@pytest.fixture
def files(tmp_path):
    """Places of whole files; file `i` holds its number ten times."""
    for number in range(20):
        (tmp_path / str(number)).write_bytes(b"%d" % number * 10)
    return [Place(str(tmp_path / str(number))) for number in range(20)]


@pytest.fixture
def fetch():
    made = []

    def make(num_threads, most_bytes=LIMIT):
        made.append(FetchAhead(num_threads, most_bytes))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Gate:
    """Fetches wait until `release`; counts those that have begun."""

    def __init__(self, monkeypatch):
        self._open, self.begun, fetch = threading.Event(), threading.Semaphore(0), Place.fetch

        def waiting(place):
            self.begun.release()
            assert self._open.wait(10)
            return fetch(place)

        monkeypatch.setattr(Place, "fetch", waiting)

    def wait_for(self, count):
        for _ in range(count):
            assert self.begun.acquire(timeout=10)

    def release(self):
        self._open.set()


def test_bytes_are_fetched_many_at_once(files, fetch, monkeypatch):
    gate, ahead = Gate(monkeypatch), fetch(8)
    batch = ahead.submit(files)
    gate.wait_for(8)
    assert not gate.begun.acquire(blocking=False)
    assert batch.get(files[15]) is None  # its read has not begun: whoever needs it reads it
    gate.release()
    assert [batch.get(place) for place in files[:8]] == [b"%d" % number * 10 for number in range(8)]
    gate.wait_for(11)
    assert not gate.begun.acquire(blocking=False)  # that of 15 never begins


def test_bytes_are_taken_once(files, fetch):
    ahead = fetch(2)
    batch = ahead.submit(files[:1])
    while (data := batch.get(files[0])) is None:
        batch = ahead.submit(files[:1])
    assert data == b"0" * 10
    assert batch.get(files[0]) is None
    assert batch.get(files[1]) is None


def test_fetched_bytes_are_bounded(files, fetch, monkeypatch):
    gate, ahead = Gate(monkeypatch), fetch(1, most_bytes=30)
    gate.release()
    first, second, others = (ahead.submit(part) for part in (files[:1], files[1:2], files[2:]))
    gate.wait_for(3)
    assert not gate.begun.acquire(timeout=0.1)
    second.discard()
    gate.wait_for(1)
    assert not gate.begun.acquire(timeout=0.1)
    assert first.get(files[0]) == b"0" * 10
    gate.wait_for(1)
    others.discard()
    assert not gate.begun.acquire(timeout=0.1)  # nobody needs the others


def test_batches_share_places_without_leaking(files, fetch, monkeypatch):
    """As at the end of an epoch: a sample is in one of its last batches, and in one of the first of the next."""
    gate, ahead = Gate(monkeypatch), fetch(1, most_bytes=30)
    gate.release()
    for _ in range(5):
        first, second = ahead.submit([files[0], files[0]]), ahead.submit(files[:2])
        gate.wait_for(3)
        assert [first.get(files[0]), first.get(files[0])] == [b"0" * 10, None]
        first.discard()
        assert [second.get(place) for place in files[:2]] == [b"0" * 10, b"1" * 10]


def test_failed_read_is_raised_where_it_is_needed(files, fetch, monkeypatch):
    gate, ahead = Gate(monkeypatch), fetch(2)
    absent = Place(files[0].file + "-absent")
    batch = ahead.submit([absent, files[3]])
    gate.wait_for(2)
    gate.release()
    assert batch.get(files[3]) == b"3" * 10
    with pytest.raises(BadSampleError, match="0-absent: no such file"):
        batch.get(absent)


def test_parts_next_to_each_other_are_read_at_once(tmp_path, fetch, monkeypatch):
    (tmp_path / "tar").write_bytes(bytes(range(200)))
    parts = [Place(str(tmp_path / "tar"), offset, 5, str(offset)) for offset in (40, 0, 10, 45)]
    gate, ahead = Gate(monkeypatch), fetch(1)
    batch = ahead.submit(parts)
    gate.wait_for(1)
    gate.release()
    assert [bytes(batch.get(part)) for part in parts] == [bytes(range(p.offset, p.offset + 5)) for p in parts]
    assert not gate.begun.acquire(blocking=False)


def test_part_that_is_cut_off_leaves_the_others(tmp_path, fetch, monkeypatch):
    (tmp_path / "tar").write_bytes(bytes(range(48)))
    whole, cut = (Place(str(tmp_path / "tar"), offset, 5, str(offset)) for offset in (40, 45))
    gate, ahead = Gate(monkeypatch), fetch(1)
    batch = ahead.submit([whole, cut])
    gate.wait_for(1)
    gate.release()
    assert [batch.get(part) for part in (whole, cut)] == [None, None]  # each is read by itself, and named
    assert whole.read() == bytes(range(40, 45))


def test_closing_wakes_who_waits(files, fetch, monkeypatch):
    gate, ahead, seen = Gate(monkeypatch), fetch(2), []
    batch = ahead.submit(files[:1])
    gate.wait_for(1)

    def wait():
        try:
            seen.append(batch.get(files[0]))  # None if it asks after the end
        except BadSampleError as error:
            seen.append(error.reason)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    ahead.close()
    thread.join(10)
    assert seen in (["the loader was closed"], [None])
    gate.release()
    for left in threads():
        left.join(10)
    assert not threads()


def test_threads_end_with_their_owner(files):
    ahead = FetchAhead(3, LIMIT)
    gone = weakref.ref(ahead)
    ahead.submit(files)
    del ahead
    gc.collect()
    for left in threads():
        left.join(10)
    assert gone() is None
    assert not threads()


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5 * JOINED_GAP), st.integers(1, MOST_JOINED)), max_size=12)
)
def test_reads_cover_what_was_asked(parts):
    places = [Place(file, offset, size, str(number)) for number, (file, offset, size) in enumerate(parts)]
    reads = list(joined(places))
    assert sorted(sample for read in reads for sample in read.samples) == sorted(places)
    for read in reads:
        begin, end = read.place.offset, read.place.offset + read.place.size
        assert read.left == len(read.samples)
        assert all(read.place.file == one.file and begin <= one.offset for one in read.samples)
        assert max(one.offset + one.size for one in read.samples) == end
        assert end - begin <= MOST_JOINED or len(read.samples) == 1
