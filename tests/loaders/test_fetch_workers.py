import threading
import time

import pytest
from PIL import Image

from runner import build_loader, compose
from runner.errors import BadSampleError
from runner.loaders import fetch_workers
from runner.loaders.fetch_ahead import FetchAhead
from runner.loaders.fetch_workers import MOST_THREADS, TimedFetches, reads_at_once, serves_at_once
from runner.place import Place, using_fetched


@pytest.mark.parametrize(
    ("fetch_ms", "decode_ms", "workers", "expected"),
    [
        (0.1, 5, 4, 0),  # a local disk
        (1.9, 5, 4, 0),
        (20, 5, 4, 32),
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


NUM_SAMPLES = 40


@pytest.fixture(autouse=True)
def disk(monkeypatch):
    """A disk of which the system does not say that it seeks; those of many virtual machines seem to."""
    monkeypatch.setattr(fetch_workers, "is_spinning", lambda file: False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty pictures of each of two classes; one of them is damaged."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(NUM_SAMPLES):
        folder = root / ("cat" if number % 2 else "dog")
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (9, 7), (number, 2 * number, 255 - number)).save(folder / f"{number:02}.png")
    (root / "dog" / "08.png").write_bytes(b"damaged")
    return root


def opened(photos, *overrides, kind="sequence"):
    keys = ["data.target_size=[8,8]", "data.validation_split=0", "data.on_bad=skip", "loader.batch_size=8"]
    return build_loader(compose(["data=directory", f"data.root={photos}", f"loader={kind}", *keys, *overrides]))


def epochs(loader, count=2):
    """Ids, bytes and labels of all batches."""
    batches = [batch for epoch in range(count) for batch in loader.epoch(epoch)]
    return [(batch.ids, batch.x.tobytes(), batch.y.tobytes()) for batch in batches]


@pytest.fixture(scope="module")
def expected(photos):
    with opened(photos, kind="generator") as loader:
        return epochs(loader)


@pytest.mark.parametrize(
    "overrides",
    [
        ["loader.fetch_ahead=3"],
        ["loader.fetch_ahead=16", "loader.workers=1", "loader.max_queue_size=2"],
        ["loader.fetch_ahead=5", "loader.cache=memory"],
        ["loader.fetch_ahead=4", "loader.workers=1", "loader.use_multiprocessing=true"],
    ],
    ids=" ".join,
)
def test_batches_are_the_same(photos, expected, overrides):
    with opened(photos, *overrides) as loader:
        assert epochs(loader) == expected
    with opened(photos, *overrides[:1], kind="in_memory") as loader:
        assert epochs(loader) == expected
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fetch-")]


def workers_of(loader):
    return loader._workers


def test_slow_storage_is_noticed(photos, expected, monkeypatch):
    monkeypatch.setattr(fetch_workers, "SLOW_SECONDS", 0)
    monkeypatch.setattr(fetch_workers, "serves_at_once", lambda *_: True)
    with opened(photos, "loader.max_queue_size=1") as loader:
        first, second = epochs(loader, 1), list(loader.epoch(1))
        assert workers_of(loader).num_reads > 4
        assert len(workers_of(loader).ahead.seconds) > len(second)
    assert first == expected[: len(first)]


def test_fast_storage_is_left_to_workers(photos, expected):
    with opened(photos) as loader:
        assert epochs(loader) == expected
        assert workers_of(loader).ahead is None


def test_storage_that_seeks_is_given_up(photos, expected, monkeypatch):
    monkeypatch.setattr(fetch_workers, "SLOW_SECONDS", 0)
    monkeypatch.setattr(fetch_workers, "serves_at_once", lambda *_: False)
    monkeypatch.setattr(fetch_workers, "EVERY", 1)
    monkeypatch.setattr(fetch_workers, "MOST_THREADS", 5)
    with opened(photos, "loader.max_queue_size=1") as loader:
        assert epochs(loader, 2) == expected
        assert (workers_of(loader).num_reads, workers_of(loader).ahead) == (0, None)


def test_reads_under_way_are_used_when_given_up(photos, expected, monkeypatch):
    fetch, disk = Place.fetch, threading.Lock()

    def seek(place):
        with disk:
            time.sleep(0.003)
            return fetch(place)

    monkeypatch.setattr(Place, "fetch", seek)
    monkeypatch.setattr(fetch_workers, "serves_at_once", lambda *_: False)
    monkeypatch.setattr(fetch_workers, "MOST_THREADS", 5)
    with opened(photos) as loader:
        assert epochs(loader, 2) == expected
        assert workers_of(loader).ahead is None


def test_spinning_disk_is_not_measured(photos, monkeypatch):
    monkeypatch.setattr(fetch_workers, "is_spinning", lambda file: True)
    monkeypatch.setattr(fetch_workers, "SLOW_SECONDS", 0)
    with opened(photos, "loader.max_queue_size=1") as loader:
        epochs(loader)
        assert workers_of(loader).ahead is None


def test_cached_samples_are_not_fetched(photos, monkeypatch):
    submitted, submit = [], FetchAhead.submit
    monkeypatch.setattr(FetchAhead, "submit", lambda self, places: submitted.extend(places) or submit(self, places))
    with opened(photos, "loader.fetch_ahead=2", "loader.cache=memory") as loader:
        epochs(loader, 3)
    assert len({place.file for place in submitted}) == NUM_SAMPLES
    assert len(submitted) <= NUM_SAMPLES + 2 * 8  # the batch with the damaged one again, in two epochs
