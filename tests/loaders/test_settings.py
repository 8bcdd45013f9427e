"""Keys that every kind accepts, and which of them have an effect."""

import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.loaders.kinds import DirectoryFlow, Generator, InMemory, Sequence

CHANGED = {"workers": 2, "use_multiprocessing": True, "max_queue_size": 3, "timeout_seconds": 9.0, "fetch_ahead": 8}
SIZES = {"block_mb": 8.0, "window_mb": 100.0}
IN_WORKERS = {"use_multiprocessing", "max_queue_size", "fetch_ahead"}
BY_BLOCKS = {"order": "blocks", **SIZES}
ON_DISK = {**CHANGED, "cache": "disk", "cache_dir": "elsewhere"}
IN_MEMORY = {**CHANGED, "cache": "memory", "cache_dir": "elsewhere"}
IN_CALLER = {**CHANGED, "workers": 0}


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        (Sequence(**CHANGED), {"cache_dir", *SIZES}),
        (Sequence(**CHANGED | SIZES), {"cache_dir", *SIZES}),
        (Sequence(**CHANGED | BY_BLOCKS), {"cache_dir", "fetch_ahead"}),
        (InMemory(**ON_DISK | BY_BLOCKS), {"max_queue_size", "fetch_ahead"}),
        (DirectoryFlow(**CHANGED), {"cache_dir", *SIZES}),
        (InMemory(**CHANGED), {"max_queue_size", "cache_dir", *SIZES}),
        (
            Generator(**CHANGED),
            {"workers", "use_multiprocessing", "max_queue_size", "fetch_ahead", "cache_dir", *SIZES},
        ),
        (Sequence(**IN_CALLER), {*IN_WORKERS, "cache_dir", *SIZES}),
        (InMemory(**IN_CALLER), {*IN_WORKERS, "cache_dir", *SIZES}),
        (Sequence(**ON_DISK), {*SIZES}),
        (InMemory(**ON_DISK), {"max_queue_size", *SIZES}),
        (Sequence(**IN_MEMORY), {"cache_dir", *SIZES}),
        (InMemory(**IN_MEMORY), {"max_queue_size", "cache", "cache_dir", *SIZES}),
    ],
)
def test_unused_keys_return_to_defaults(settings, idle):
    normalised = settings.normalised()
    assert set(settings.idle_keys()) == idle
    assert len(settings.idle_keys()) == len(idle)
    for name in {**ON_DISK, **BY_BLOCKS}:
        default = type(settings).model_fields[name].default
        assert getattr(normalised, name) == (default if name in idle else getattr(settings, name))
    assert normalised.normalised() == normalised


def test_fetched_bytes_count_as_memory():
    one = ArraySpec((2, 2, 3), np.dtype(np.uint8))
    sizes = [Sequence(batch_size=10, fetch_ahead=reads).num_bytes(one, 1000) for reads in ("auto", 0, 8)]
    assert sizes == [14 * 120, 14 * 120, 24 * 120]
