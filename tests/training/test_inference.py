"""Predictions have the order of the source, also where samples are read in the order of their files."""

import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from runner.distribute.exchange import WITHOUT_OTHERS, Exchange
from runner.distribute.ranks import Rank
from runner.loaders.blocks import cut_blocks
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from runner.training.inference import predict
from tests.support.large_files import write_large_files

SETTINGS = Sequence(order="blocks", block_mb=0.01, window_mb=0.1, workers=1)
OUTPUTS = (SimpleNamespace(name="same", reconstruction=False),)


@pytest.fixture(scope="module")
def same():
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Rescaling(1.0, name="same")(inputs))


def predicted(model, source, exchange=WITHOUT_OTHERS):
    blocks = cut_blocks(source, block_mb=SETTINGS.block_mb, window_mb=SETTINGS.window_mb)
    plan = Plan(num_samples=len(source), batch_size=8, shuffle=False, blocks=blocks)
    with SETTINGS.build(source, plan) as loader:
        loader.handle_bad(OnBad("skip"), lambda *bad: None)
        assert sorted(plan.batch(0, 0).indices.tolist()) != list(range(8))
        [rows], read = predict(model, OUTPUTS, loader, exchange)
    return rows[..., :1].ravel().tolist(), list(read.ids)


def test_predictions_have_the_order_of_the_source(same, tmp_path):
    source = write_large_files(tmp_path, num_samples=100)
    assert predicted(same, source) == (list(range(100)), list(source.ids))


def spoil(source):
    """Make a sample in the middle unreadable; its index."""
    spans = source.spans()
    bad = int(np.argmax(np.where(spans.file == 1, spans.offset, -1)))
    os.truncate(spans.files[1], spans.offset[bad])
    return bad


def test_predictions_without_bad_ones_are_in_order(same, tmp_path):
    source = write_large_files(tmp_path, num_samples=100)
    bad = spoil(source)
    kept = [index for index in range(100) if index != bad]
    assert predicted(same, source) == (kept, [source.ids[index] for index in kept])


def test_ranks_predict_what_one_process_does(same, tmp_path):
    source = write_large_files(tmp_path, num_samples=100)
    (tmp_path / "ranks").mkdir()
    spoil(source)
    for number in (1, 2):
        assert predicted(same, source, Exchange(Rank(number, 3), tmp_path)) == ([], [])
    assert predicted(same, source, Exchange(Rank(0, 3), tmp_path)) == predicted(same, source)
    assert not list((tmp_path / "ranks").iterdir())


def test_more_ranks_than_batches_predict_all(same, tmp_path):
    source = write_large_files(tmp_path, num_samples=16)
    (tmp_path / "ranks").mkdir()
    for number in (1, 2):
        predicted(same, source, Exchange(Rank(number, 3), tmp_path))
    assert predicted(same, source, Exchange(Rank(0, 3), tmp_path)) == (list(range(16)), list(source.ids))
