"""`loader.draw_by`: each sample as often as its weight says, and never one draw more or less."""

from math import ceil, floor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.loaders.plan import Plan
from runner.loaders.weighted_draw import OCCURRENCE_STEP, WeightedDraw

WEIGHTS = st.lists(st.floats(0, 100, width=32), min_size=1, max_size=60).filter(lambda weights: sum(weights) > 0)


def draw(weights, seed, epoch):
    drawing = WeightedDraw.of(np.array(weights, np.float32), seed)
    return drawing.at(seed, epoch, 0, len(weights))


@settings(max_examples=40)
@given(WEIGHTS, st.integers(0, 2**32), st.integers(0, 1000))
def test_each_sample_has_its_share_of_draws(weights, seed, epoch):
    drawn, total = draw(weights, seed, epoch), sum(weights)
    counts = np.bincount(drawn.indices, minlength=len(weights)).tolist()
    for count, weight in zip(counts, weights, strict=True):
        share = len(weights) * weight / total
        assert floor(share - 1e-9) <= count <= ceil(share + 1e-9)
        assert not (weight == 0 and count)


@settings(max_examples=30)
@given(WEIGHTS, st.integers(0, 2**32), st.integers(0, 1000))
def test_draws_of_a_sample_differ_in_their_pass(weights, seed, epoch):
    drawn, numbers = draw(weights, seed, epoch), {}
    for sample, number in zip(drawn.indices.tolist(), drawn.passes.tolist(), strict=True):
        numbers.setdefault(sample, []).append(number)
    for passes in numbers.values():
        assert sorted(passes) == [epoch + OCCURRENCE_STEP * occurrence for occurrence in range(len(passes))]


@settings(max_examples=40)
@given(
    st.integers(1, 2**20).map(lambda tenths: tenths / 10),
    st.integers(1, 3000),
    st.integers(0, 2**32),
    st.integers(0, 1000),
)
def test_equal_weights_draw_each_sample_once(weight, count, seed, epoch):
    drawn = draw([weight] * count, seed, epoch)
    assert sorted(drawn.indices.tolist()) == list(range(count))
    assert (drawn.passes == epoch).all()


@settings(max_examples=30)
@given(WEIGHTS, st.data())
def test_any_draws_are_computed_directly(weights, data):
    start = data.draw(st.integers(0, len(weights) - 1))
    drawing = WeightedDraw.of(np.array(weights, np.float32), 1)
    whole, part = drawing.at(1, 7, 0, len(weights)), drawing.at(1, 7, start, len(weights))
    assert part.indices.tolist() == whole.indices[start:].tolist()
    assert part.passes.tolist() == whole.passes[start:].tolist()


def test_weighted_draw_golden():
    # Changes only with a major version: everyone's runs with draw_by would repeat with other batches.
    assert [draw([1, 0, 3, 1, 1], 5, epoch).indices.tolist() for epoch in range(3)] == [
        [2, 0, 3, 2, 2],
        [2, 0, 2, 3, 4],
        [2, 3, 4, 0, 2],
    ]


WEIGHED = np.random.default_rng(0).lognormal(size=200).astype(np.float32)


def deviation(counts, share, epochs):
    """The sum of squares of the deviations from the shares, each by the variance of floor or ceil: chi-squared."""
    part = share % 1
    return float((((counts - epochs * share) ** 2) / (epochs * part * (1 - part))).sum())


def counts_of(drawing, epochs):
    drawn = [drawing.at(0, epoch, 0, len(WEIGHED)).indices for epoch in range(epochs)]
    return np.bincount(np.concatenate(drawn), minlength=len(WEIGHED))


def test_draws_are_unbiased_over_epochs(monkeypatch):
    share, drawing = WEIGHED / WEIGHED.sum(dtype=np.float64) * len(WEIGHED), WeightedDraw.of(WEIGHED, 0)
    assert stats.chi2.sf(deviation(counts_of(drawing, 400), share, 400), len(WEIGHED)) > 1e-3
    monkeypatch.setattr("runner.loaders.weighted_draw._start", lambda *_: 0.5)  # the same start in every epoch
    assert stats.chi2.sf(deviation(counts_of(drawing, 400), share, 400), len(WEIGHED)) < 1e-12


def test_positions_in_an_epoch_are_uniform():
    drawing, halves = WeightedDraw.of(WEIGHED, 0), np.zeros((2, len(WEIGHED)), np.int64)
    for epoch in range(100):
        for half in range(2):
            drawn = drawing.at(0, epoch, 100 * half, 100 * half + 100).indices
            halves[half] += np.bincount(drawn, minlength=len(WEIGHED))
    seen = halves.sum(axis=0)
    assert stats.chi2.sf((((halves - seen / 2) ** 2) / (seen / 2)).sum(), len(WEIGHED)) > 1e-3


def test_plan_draws_as_many_as_there_are_samples():
    drawing = WeightedDraw.of(WEIGHED, 3)
    plan = Plan(num_samples=200, batch_size=30, seed=3, drawing=drawing)
    batches = [plan.batch(4, step).indices for step in range(plan.num_steps)]
    assert [len(batch) for batch in batches] == [30] * 6 + [20]
    assert np.concatenate(batches).tolist() == drawing.at(3, 4, 0, 200).indices.tolist()


def test_draw_takes_twelve_bytes_a_sample():
    drawing = WeightedDraw.of(WEIGHED, 0)
    assert drawing.order.nbytes + drawing.ends.nbytes == 12 * len(WEIGHED)
