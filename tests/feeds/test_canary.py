"""A batch holds what its ids say for as long as anyone has it, though the memory of others is used again."""

import pytest

from runner.loaders.plan import Plan

from . import canary


@pytest.mark.parametrize("kind", canary.KINDS)
def test_tensorflow_batches_match_their_ids(kind):
    canary.fly(kind)


@pytest.mark.parametrize("kind", canary.KINDS)
def test_all_batches_of_an_epoch_may_be_kept(kind):
    with canary.KINDS[kind].build(canary.numbers_source(), Plan(num_samples=200, batch_size=2, seed=3)) as loader:
        kept = [*loader.epoch(0), *loader.epoch(1)]
    assert len(kept) == 200
    for batch in kept:
        assert (batch.x.reshape(2, -1) == canary.numbers_of(batch.ids)[:, None]).all()
