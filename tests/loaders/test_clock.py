"""Where the time goes, as those measure it who spend it."""

import pytest
from PIL import Image

from runner.data.labels import NO_LABELS
from runner.data.stored_samples import file_samples
from runner.images import exact
from runner.images.fast import open_decoder
from runner.images.settings import ImageSettings
from runner.loaders.cache import CachedSource, MemoryCache
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from runner.loaders.timing import Clock, WorkSpan
from runner.place import Place
from tests.support.clocks import ThreadClock
from tests.support.sources import ONE_NUMBER, NumberSource

READ, CHANGE = 0.004, 0.008
NUM_SAMPLES = 12
KINDS = {
    "generator": Generator(),
    "caller": Sequence(workers=0),
    "threads": Sequence(workers=2),
    "processes": Sequence(workers=2, use_multiprocessing=True),
    "in_memory": InMemory(workers=2),
    "in_memory by the caller": InMemory(workers=0),
}


CLOCK = ThreadClock()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    CLOCK.install(monkeypatch)


class Slow(NumberSource):
    """Samples that take a while to read; in a worker process they bring their clock along."""

    def __init__(self):
        super().__init__(NUM_SAMPLES)

    def __setstate__(self, state):
        self.__dict__ = state
        CLOCK.install(pytest.MonkeyPatch())

    def read(self, index, out=None):
        CLOCK.sleep(READ)
        return super().read(index, out)


class SlowChange:
    """A change that takes a while."""

    spec = ONE_NUMBER

    def __call__(self, array, epoch, index):
        CLOCK.sleep(CHANGE)
        return array


def load(settings, source, changes=()):
    return settings.build(source, Plan(num_samples=NUM_SAMPLES, batch_size=4, seed=0), changes)


def reasons(loader):
    return loader.clock.wait(0.5, 1.0).reasons


def about(seconds):
    """These seconds and some microseconds, by which the clock moves as it is read."""
    return pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_work_is_split_by_stage(settings):
    with load(settings, Slow(), (SlowChange(),)) as loader:
        assert len(list(loader.epoch(0))) == 3
        spent = reasons(loader)
    assert spent["fetch"] == about(NUM_SAMPLES * READ)
    assert spent["augment"] == about(NUM_SAMPLES * CHANGE)
    assert 0 < spent["assemble"] < NUM_SAMPLES * READ
    assert spent["decode"] == 0


@pytest.mark.parametrize("decode", ["fast", "exact"])
@pytest.mark.parametrize("workers", [0, 2])
def test_decoding_is_separate_from_reading(decode, workers, tmp_path, monkeypatch):
    def slow(seconds, function):
        return lambda *args: (CLOCK.sleep(seconds), function(*args))[1]

    monkeypatch.setattr(Place, "fetch", slow(READ, Place.fetch))
    monkeypatch.setattr(exact.ExactDecoder, "image", slow(CHANGE, exact.ExactDecoder.image))
    for name in Slow().ids:
        Image.new("L", (4, 4)).save(tmp_path / f"{name}.png")
    settings = ImageSettings(target_size=(4, 4), color_mode="grayscale", decode=decode)
    names = [f"{name}.png" for name in Slow().ids]
    source = file_samples(tmp_path, names, NO_LABELS, open_decoder(settings, tmp_path / names[0]))
    with load(Sequence(workers=workers), source) as loader:
        list(loader.epoch(0))
        spent = reasons(loader)
    assert spent["fetch"] == about(NUM_SAMPLES * READ)
    assert spent["decode"] == about(NUM_SAMPLES * CHANGE)


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_from_a_cache_count_as_read(workers):
    source = CachedSource(Slow(), MemoryCache(ONE_NUMBER, NUM_SAMPLES, processes=False))
    with load(Sequence(workers=workers), source) as loader:
        list(loader.epoch(0))
        before = reasons(loader)
        list(loader.epoch(1))
        spent = reasons(loader)["fetch"] - before["fetch"]
    assert 0 < spent < NUM_SAMPLES * READ / 2


def test_first_batch_wait_is_known():
    clock = Clock()
    for seconds in (0.02, 0.01):
        with clock.waiting():
            CLOCK.sleep(seconds)
    assert clock.waited_seconds == about(0.03)
    assert clock.wait(0.01, 0.1).first_batch_seconds == about(0.02)


def test_wait_is_a_share_of_training():
    assert Clock().wait(0.5, 2.0).document()["share"] == 0.25
    assert Clock().wait(0.5, 2.0, steps=3).document()["step_seconds"] == 0.5


def test_wait_that_fails_is_a_wait():
    clock = Clock()
    with pytest.raises(OSError, match="no"), clock.waiting():
        CLOCK.sleep(0.01)
        raise OSError("no")
    assert clock.waited_seconds == about(0.01)


def test_wait_of_no_training_has_a_share():
    assert Clock().wait(0.0, 0.0).document() == {
        "share": 0.0,
        "seconds": 0.0,
        "first_batch_seconds": 0.0,
        "reasons": {"fetch": 0.0, "decode": 0.0, "augment": 0.0, "assemble": 0.0},
    }


def test_work_of_several_threads_adds_up():
    clock = Clock()
    clock.add(WorkSpan(1, 0, 3_000_000_000, 8, fetch=1_000_000_000, decode=2_000_000_000))
    clock.add(WorkSpan(2, 0, 1_000_000_000, 8, fetch=1_000_000_000))
    assert clock.wait(0.5, 1.0).reasons == {"fetch": 2.0, "decode": 2.0, "augment": 0.0, "assemble": 0.0}


def test_wait_within_a_wait_is_a_part_of_it():
    clock = Clock()
    clock.timeline.begin()
    with clock.waiting():
        for _ in range(2):
            with clock.waiting():
                CLOCK.sleep(0.01)
    with pytest.raises(OSError, match="no"), clock.waiting(), clock.waiting():
        raise OSError("no")
    with clock.waiting():
        pass
    clock.timeline.end()
    assert clock.waited_seconds == about(0.02)
    assert clock.wait(0.02, 1.0).first_batch_seconds == about(0.02)
    assert len({span.details["step"] for span in clock.timeline.lanes()[0].spans}) == 3


def test_transfer_is_a_reason_only_if_measured():
    clock = Clock()
    assert "transfer" not in clock.wait(0.5, 1.0).reasons
    clock.add(WorkSpan(1, 0, 2_000_000_000, 8, transfer=2_000_000_000))
    assert clock.wait(0.5, 1.0).reasons["transfer"] == 2.0
