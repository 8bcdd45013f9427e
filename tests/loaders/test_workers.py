"""Workers share a batch evenly; those that die or hang end in an error, soon, and leave nothing behind."""

import multiprocessing
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import WorkerError
from runner.loaders.draw import Draw
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.loaders.workers import LEAST, MOST, pieces
from tests.support.sources import ObedientSource


@given(st.integers(1, 3000), st.integers(1, 40))
def test_pieces_are_even_and_cover_the_indices(count, num_workers):
    indices = np.arange(1000, 1000 + count)
    made = pieces(Draw(indices, indices + 1), num_workers)
    assert np.array_equal(np.concatenate([piece.indices for _, piece in made]), indices)
    assert all(np.array_equal(piece.passes, piece.indices + 1) for _, piece in made)
    assert all(piece.indices[0] == indices[row] for row, piece in made)
    sizes = [len(piece) for _, piece in made]
    assert min(LEAST, count) <= min(sizes) <= max(sizes) <= MOST
    assert max(sizes) - min(sizes) <= 1
    assert len(made) >= min(num_workers, count // LEAST)


def load(order, **settings):
    return Sequence(workers=1, use_multiprocessing=True, **settings).build(
        ObedientSource(order), Plan(8, 2, shuffle=False)
    )


def test_dead_worker_process_suggests_a_fix():
    begun = time.monotonic()
    with load("die") as loader, pytest.raises(WorkerError, match=r"a worker process died .* loader.use_multiprocess"):
        next(loader.epoch(0))
    assert time.monotonic() - begun < 55
    assert multiprocessing.active_children() == []


def test_hanging_worker_process_times_out():
    with load("hang", timeout_seconds=2.0) as loader:
        begun = time.monotonic()
        with pytest.raises(WorkerError, match="no batch within loader.timeout_seconds=2"):
            next(loader.epoch(0))
        assert time.monotonic() - begun < 55
    assert multiprocessing.active_children() == []


def test_worker_processes_import_no_framework():
    with load("tell") as loader:
        rows = np.concatenate([batch.x for batch in loader.epoch(0)])
    assert rows.tolist() == [[number, 0] for number in range(8)]


def test_workers_survive_a_partial_epoch():
    with load("tell", max_queue_size=3) as loader:
        for _ in range(4):
            batches = loader.epoch(0)
            next(batches)
            batches.close()
        assert [batch.x[0, 0] for batch in loader.epoch(0)] == [0, 2, 4, 6]
