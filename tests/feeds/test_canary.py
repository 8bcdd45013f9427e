"""A batch holds what its ids say for as long as anyone has it, though the memory of others is used again."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from runner.loaders.plan import Plan

from . import canary


@pytest.mark.parametrize("kind", canary.KINDS)
def test_tensorflow_batches_match_their_ids(kind):
    canary.fly(kind)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backend_batches_match_their_ids(backend):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command, root = [sys.executable, "-m", "tests.feeds.canary"], Path(__file__).parents[2]
    ended = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert (ended.stdout.split(), ended.returncode) == ([backend, "True"], 0), ended.stderr


@pytest.mark.parametrize("kind", canary.KINDS)
def test_all_batches_of_an_epoch_may_be_kept(kind):
    with canary.KINDS[kind].build(canary.numbers_source(), Plan(num_samples=200, batch_size=2, seed=3)) as loader:
        kept = [*loader.epoch(0), *loader.epoch(1)]
    assert len(kept) == 200
    for batch in kept:
        assert (batch.x.reshape(2, -1) == canary.numbers_of(batch.ids)[:, None]).all()
