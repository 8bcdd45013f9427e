"""Evaluation and prediction where nothing is left of some batches."""

import keras
import numpy as np
import pytest

from runner.errors import DataError
from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery, RecordedDelivery
from runner.loaders.kinds import Generator
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from tests.feeds.conftest import numbers_source
from tests.support.sources import torn

BADLY = [{4, 5}, {0, 1}, {8, 9}, {0, 1, 3, 4, 5, 8, 9}]
"""Of ten samples in batches of two: all of a batch in the middle, at the beginning, at the end; most."""


@pytest.fixture
def damaged():
    """A loader of batches of two, without those samples."""

    def make(bad):
        source = numbers_source()
        source.bad, source.error = bad, torn
        loader = Generator().build(source, Plan(num_samples=10, batch_size=2, shuffle=False))
        loader.handle_bad(OnBad("skip"), lambda *reported: None)
        return loader

    return make


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((1,))
    made = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.BatchNormalization()(inputs)))
    made.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def left(bad):
    x = np.array([[number] for number in range(10) if number not in bad], np.float32)
    return x, x[:, 0] % 2


@pytest.mark.parametrize("bad", BADLY, ids=str)
def test_metrics_cover_remaining_samples(bad, damaged, model):
    loader, (x, y) = damaged(bad), left(bad)
    with (delivery := Delivery(loader)).raising_failures():
        given = model.evaluate(feed(delivery).data, verbose=0)
    assert given == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
    with (delivery := RecordedDelivery(loader)).raising_failures():
        predicted = model.predict(feed(delivery).data, verbose=0)
    assert predicted == pytest.approx(model.predict(x, verbose=0), rel=1e-5)
    assert sum(len(delivery.ids(step)) for step in range(len(loader))) == len(x)


@pytest.mark.parametrize("bad", BADLY, ids=str)
def test_validation_covers_remaining_samples(bad, damaged, model):
    train = Generator().build(numbers_source(), Plan(num_samples=10, batch_size=4))
    loader, (x, y), delivery = damaged(bad), left(bad), Delivery(train)
    validating = Delivery(loader)
    with delivery.raising_failures(), validating.raising_failures():
        history = model.fit(
            feed(delivery).data, validation_data=feed(validating).data, epochs=1, shuffle=False, verbose=0
        ).history
    expected = model.evaluate(x, y, verbose=0)
    assert [history["val_loss"][0], history["val_accuracy"][0]] == pytest.approx(expected, rel=1e-5)


def test_split_without_readable_samples_fails(damaged, model):
    with (
        pytest.raises(DataError, match="no sample can be read; is the storage available"),
        (delivery := Delivery(damaged(set(range(10))))).raising_failures(),
    ):
        model.evaluate(feed(delivery).data, verbose=0)
