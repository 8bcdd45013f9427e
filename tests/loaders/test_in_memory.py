"""Everything decoded once, and held."""

import threading
import tracemalloc

import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.loaders import buffers
from runner.loaders.cache import MemoryCache, with_cache
from runner.loaders.in_memory import InMemorySamples
from runner.loaders.kinds import InMemory, Sequence
from runner.loaders.plan import Plan
from runner.transforms.augment import augment
from runner.transforms.settings import Augment
from tests.support.sources import NumberSource

SIZES = {"workers": 2, "batch_size": 16}


def load(source, **settings):
    settings = InMemory(**settings)
    return settings.build(source, Plan(len(source), settings.batch_size))


def test_samples_are_read_once_for_all_epochs():
    source = NumberSource(100, ArraySpec((3,), np.dtype(np.uint8)))
    with load(source, workers=0) as loader:
        for epoch in range(3):
            assert sum(len(batch) for batch in loader.epoch(epoch)) == 100
    assert source.reads == 100


def test_concurrent_readers_read_once():
    source = NumberSource(2000, ArraySpec((3,), np.dtype(np.uint8)))
    with load(source, workers=0) as loader:
        both = [threading.Thread(target=loader.fill) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert source.reads == 2000


def test_samples_are_read_again_after_closing():
    source = NumberSource(10, ArraySpec((3,), np.dtype(np.uint8)))
    loader = load(source, workers=0)
    next(loader.epoch(0))
    loader.close()
    loader.close()
    assert next(loader.epoch(0)).x.shape == (10, 3)
    assert source.reads == 20


@pytest.mark.parametrize(("workers", "num_samples"), [(0, 500), (2, 500), (4, 5000), (2, 40)])
def test_stated_memory_bounds_fill_and_training(workers, num_samples):
    source = NumberSource(num_samples, ArraySpec((64, 64), np.dtype(np.uint8)))
    loader = load(source, workers=workers)
    stated = InMemory(workers=workers).num_bytes(source.spec, num_samples)
    buffers._free.clear()  # what an earlier test left is memory that is not traced
    tracemalloc.start()
    with loader:
        for _ in loader.epoch(0):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_samples * source.spec.num_bytes < peak < stated + 500_000
    assert stated < peak * 1.1 + 5 * 32 * source.spec.num_bytes


@pytest.mark.parametrize("workers", [0, 2])
def test_stated_memory_bounds_transforms(workers):
    num_samples = 600
    source = NumberSource(num_samples, ArraySpec((64, 64), np.dtype(np.uint8)))
    settings = InMemory(workers=workers)
    changes = augment(Augment(rotation=0.1, contrast=0.1), source.spec, 0, training=True)
    stated = settings.num_bytes(source.spec, num_samples, source.spec)
    buffers._free.clear()
    tracemalloc.start()
    with settings.build(source, Plan(num_samples, settings.batch_size), changes) as loader:
        for epoch in range(2):
            for _ in loader.epoch(epoch):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_samples * source.spec.num_bytes < peak < stated + 500_000


@pytest.mark.parametrize(("pixels", "is_large"), [(64, False), (1024, True)])
@pytest.mark.parametrize(
    "kept", [InMemory(workers=2, batch_size=16), Sequence(workers=2, batch_size=16, cache="memory")]
)
def test_large_batches_are_copied_by_a_worker(kept, pixels, is_large, monkeypatch):
    source, copying = NumberSource(48, ArraySpec((64, pixels), np.dtype(np.uint8))), set()

    def noted(copy):
        def with_thread(*arguments):
            copying.add(threading.current_thread())
            return copy(*arguments)

        return with_thread

    with kept.build(with_cache(source, kept, {}), Plan(48, 16)) as loader:
        first = [batch.x for batch in loader.epoch(0)]
        monkeypatch.setattr(InMemorySamples, "read_many", noted(InMemorySamples.read_many))
        monkeypatch.setattr(MemoryCache, "take", noted(MemoryCache.take))
        second = [batch.x for batch in loader.epoch(0)]
        assert all(np.array_equal(*both) for both in zip(first, second, strict=True))
    assert source.reads == 48
    assert (threading.current_thread() not in copying) == is_large and copying
