"""A plan is arithmetic: each sample once per epoch, each batch at any time."""

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.loaders.permutation import Permutation
from runner.loaders.plan import BLOCK, KEPT_BLOCKS, Plan
from runner.seeds import Purpose, derive

PLANS = st.builds(
    Plan,
    num_samples=st.integers(1, 3 * BLOCK),
    batch_size=st.integers(1, 2 * BLOCK) | st.integers(1, 100),
    seed=st.integers(0, 2**64),
    shuffle=st.booleans(),
)


def epoch_of(plan, epoch):
    return np.concatenate([plan.batch(epoch, step).indices for step in range(plan.num_steps)]).tolist()


def test_batch_golden():
    # Changes only with a major version: everyone's runs would repeat with other batches.
    plan = Plan(num_samples=10, batch_size=4, seed=5)
    assert [plan.batch(0, step).indices.tolist() for step in range(3)] == [[3, 4, 7, 8], [9, 6, 1, 0], [2, 5]]
    assert [plan.batch(1, step).indices.tolist() for step in range(3)] == [[7, 0, 6, 1], [2, 9, 5, 4], [8, 3]]
    assert Plan(num_samples=10**10, batch_size=4, seed=5).batch(7, 10**9).indices.tolist() == [
        4797194842,
        8957949545,
        3819148069,
        2992015177,
    ]


@settings(deadline=None, max_examples=40)
@given(PLANS, st.integers(0, 10**6))
def test_epoch_holds_each_sample_once(plan, epoch):
    assert sorted(epoch_of(plan, epoch)) == list(range(plan.num_samples))


@settings(deadline=None, max_examples=40)
@given(PLANS, st.integers(0, 2**63))
def test_batches_are_slices_of_one_permutation(plan, epoch):
    positions = np.arange(plan.num_samples)
    order = Permutation.seeded(plan.num_samples, derive(plan.seed, Purpose.ORDER, epoch))(positions)
    assert epoch_of(plan, epoch) == (order if plan.shuffle else positions).tolist()


@settings(deadline=None)
@given(PLANS, st.integers(0, 100), st.data())
def test_batch_ignores_earlier_requests(plan, epoch, data):
    step = data.draw(st.integers(0, plan.num_steps - 1))
    alone = plan.batch(epoch, step).indices.tolist()
    plan.batch(epoch + 1, step)
    plan.batch(epoch, plan.num_steps - 1)
    assert plan.batch(epoch, step).indices.tolist() == alone


@settings(deadline=None, max_examples=20)
@given(PLANS, st.integers(0, 10**6))
def test_pass_of_all_samples_is_the_epoch(plan, epoch):
    draw = plan.batch(epoch, plan.num_steps - 1)
    assert draw.passes.dtype == np.int64
    assert draw.passes.tolist() == [epoch] * len(draw)


def test_batch_size_changes_no_order():
    assert (
        len({tuple(epoch_of(Plan(10_000, size, seed=3), 2)) for size in (1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 20_000)})
        == 1
    )


def test_no_shuffle_keeps_the_order_of_the_source():
    plan = Plan(num_samples=5, batch_size=2, shuffle=False)
    assert [plan.batch(3, step).indices.tolist() for step in range(3)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("shuffle", [True, False])
def test_batch_is_int64_and_the_callers_own(shuffle):
    plan = Plan(num_samples=100, batch_size=8, shuffle=shuffle)
    batch = plan.batch(0, 0).indices
    kept = batch.copy()
    batch[:] = -1
    assert batch.dtype == np.int64
    assert batch.base is None
    assert (plan.batch(0, 0).indices == kept).all()


def test_seeds_and_epochs_give_other_orders():
    orders = {tuple(Plan(1000, 1000, seed).batch(epoch, 0).indices) for seed, epoch in product(range(20), range(20))}
    assert len(orders) == 20 * 20


def test_seed_and_epoch_are_not_interchangeable():
    pairs = [(5, 1), (1, 5), (6, 0), (0, 6), (3, 3)]
    assert len({tuple(Plan(100, 100, seed).batch(epoch, 0).indices) for seed, epoch in pairs}) == len(pairs)


@given(st.integers(1, 10**12), st.integers(1, 10**6))
def test_num_steps_counts_the_last_short_batch(num_samples, batch_size):
    plan = Plan(num_samples, batch_size)
    last = num_samples - (plan.num_steps - 1) * batch_size
    assert plan.num_steps == -(-num_samples // batch_size)
    assert 1 <= last <= batch_size
    assert len(Plan(num_samples, batch_size, shuffle=False).batch(0, plan.num_steps - 1).indices) == last


@given(st.integers(1, 10**4), st.integers(1, 100))
def test_drop_remainder_gives_full_batches_only(num_samples, batch_size):
    whole, dropping = Plan(num_samples, batch_size), Plan(max(num_samples, batch_size), batch_size, drop_remainder=True)
    assert whole.num_steps == ceil(num_samples / batch_size)
    assert dropping.num_steps == max(num_samples, batch_size) // batch_size
    assert {len(dropping.batch(0, step).indices) for step in range(dropping.num_steps)} == {batch_size}


def test_dropped_samples_vary_by_epoch():
    plan = Plan(num_samples=10, batch_size=8, drop_remainder=True)
    dropped = {tuple(sorted(set(range(10)) - set(epoch_of(plan, epoch)))) for epoch in range(20)}
    assert len(dropped) > 10


@pytest.mark.parametrize("step", [-1, 3, 10**30])
def test_step_out_of_range_is_named(step):
    with pytest.raises(IndexError, match=f"^step must be from 0 to 2, got {step}$"):
        Plan(num_samples=10, batch_size=4).batch(0, step)


@pytest.mark.parametrize("shuffle", [True, False])
def test_negative_epoch_is_named(shuffle):
    with pytest.raises(IndexError, match=r"^epoch must be at least 0, got -1$"):
        Plan(num_samples=10, batch_size=4, shuffle=shuffle).batch(-1, 0)


@pytest.mark.parametrize(("field", "least"), [("num_samples", 1), ("batch_size", 1), ("seed", 0)])
def test_field_out_of_range_is_named(field, least):
    changes = {field: least - 1}
    with pytest.raises(ValueError, match=f"^{field} must be at least {least}, got {least - 1}$"):
        replace(Plan(num_samples=10, batch_size=4), **changes)


def test_dropping_every_sample_is_refused():
    message = "batch_size=4 is more than the 3 samples; lower batch_size or set drop_remainder=false$"
    with pytest.raises(ValueError, match=message):
        Plan(num_samples=3, batch_size=4, drop_remainder=True)


def test_batch_takes_numpy_integers():
    plan = Plan(num_samples=10_000, batch_size=32)
    assert (plan.batch(*np.array([2, 140])).indices == plan.batch(2, 140).indices).all()


def test_threads_get_the_same_batches():
    plans = [Plan(num_samples=20 * BLOCK, batch_size=1000, seed=seed) for seed in range(2)]
    calls = [(plan, epoch, step) for step in range(80) for plan in plans for epoch in range(KEPT_BLOCKS)]
    alone = [plan.batch(epoch, step).indices.tolist() for plan, epoch, step in calls]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda call: call[0].batch(call[1], call[2]).indices.tolist(), calls))
    assert together == alone


def test_use_keeps_equality_hash_and_pickle():
    used, fresh = Plan(num_samples=10_000, batch_size=32, seed=1), Plan(num_samples=10_000, batch_size=32, seed=1)
    used.batch(0, 0)
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert pickle.dumps(used) == pickle.dumps(fresh)
    assert (pickle.loads(pickle.dumps(used)).batch(3, 5).indices == fresh.batch(3, 5).indices).all()


def test_ten_billion_samples_take_no_memory():
    plan = Plan(num_samples=10**10, batch_size=32)
    plan.batch(0, 0)
    tracemalloc.start()
    try:
        for epoch, step in product(range(3), range(0, plan.num_steps, plan.num_steps // 20)):
            plan.batch(epoch, step)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
