"""Ranks read their own rows of each batch, whatever the loader."""

import numpy as np
import pytest

from runner.distribute.ranks import Rank, Share
from runner.loaders.blend import Blend
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from tests.support.sources import NumberSource

PLAN = Plan(num_samples=22, batch_size=8, seed=3)  # the last batch of 6 cannot be divided by 4
KINDS = {
    "generator": Generator(batch_size=8),
    "sequence": Sequence(batch_size=8, workers=2),
    "in_memory": InMemory(batch_size=8, workers=1),
}


def batches(settings, share, blend):
    with settings.build(NumberSource(22), PLAN) as loader:
        loader.share, loader.blend = share, blend
        return list(loader.stream(1, 4)), loader.first_batch()


@pytest.mark.parametrize("blend", [None, Blend(0.4, 0.0, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_all_ranks_make_up_the_batch(kind, blend):
    whole, first = batches(KINDS[kind], None, blend)
    ranks = [batches(KINDS[kind], Share(Rank(number, world=2), num_devices=4), blend) for number in range(2)]
    for step, batch in enumerate(whole):
        parts = [stream[step] for stream, _ in ranks]
        if len(batch) == 8:
            assert batch.ids == parts[0].ids + parts[1].ids
            assert np.array_equal(batch.x, np.concatenate([part.x for part in parts]))
        else:
            assert batch.ids == parts[0].ids == parts[1].ids
            assert all(np.array_equal(batch.x, part.x) for part in parts)
    for _, each in ranks:  # what builds a model is alike in all ranks
        assert each.ids == first.ids
        assert np.array_equal(each.x, first.x)
