"""Every feed gives Keras the same batches."""

import keras
import numpy as np
import pytest

from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery, RecordedDelivery
from runner.records.digests import IdStream


class Seen(keras.layers.Layer):
    """Adds up, per sample, how often it went through the model while training."""

    def build(self, shape):
        self.counts = self.add_weight(shape=(10,), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.counts.assign_add(keras.ops.sum(keras.ops.one_hot(keras.ops.cast(x[:, 0], "int32"), 10), axis=0))
        return x


@pytest.fixture(scope="module")
def traced_once():
    """A model, its counting layer, and how its variables begin: to trace its functions takes longer than to train."""
    inputs = keras.Input((1,))
    seen = Seen()
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(seen(inputs)))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    return model, seen, [(variable, np.array(variable)) for variable in variables]


@pytest.fixture
def counting(traced_once):
    model, seen, begins = traced_once
    for variable, value in begins:
        variable.assign(value)
    model.reset_metrics()
    return model, seen


def fit_by_steps(model, loader, *, steps, epochs):
    delivery = Delivery(loader)
    for epoch in range(epochs):
        data = feed(delivery, first_step=epoch * steps, num_steps=steps)
        model.fit(
            data.data, steps_per_epoch=data.steps, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0
        )
    return delivery


@pytest.mark.parametrize(("steps", "epochs"), [(1, 6), (2, 3), (3, 2), (6, 1)])
def test_feed_trains_each_sample_once_per_pass(loader, counting, steps, epochs):
    model, seen = counting
    fit_by_steps(model, loader, steps=steps, epochs=epochs)
    assert np.asarray(seen.counts).tolist() == [2.0] * 10
    assert int(model.optimizer.iterations) == 6


def test_feed_does_not_count_prefetched_steps(loader, counting):
    delivery, ids, expected = RecordedDelivery(loader), IdStream(), IdStream()
    data = feed(delivery, num_steps=2)
    counting[0].fit(data.data, steps_per_epoch=data.steps, shuffle=False, verbose=0)
    assert delivery.settle(ids, IdStream(), 0, 2) == 8
    for batch in loader.stream(0, 2):
        expected.update(batch.ids)
    assert ids.hexdigest() == expected.hexdigest()


def test_feed_evaluates_and_predicts_one_pass(loader, counting):
    model, _ = counting
    data = feed(Delivery(loader))
    assert np.isfinite(model.evaluate(data.data, steps=data.steps, verbose=0)[0])
    data = feed(Delivery(loader))
    assert model.predict(data.data, steps=data.steps, verbose=0).shape == (10, 2)


def test_feed_validates_on_the_whole_split(loader, counting):
    model, _ = counting
    losses = []
    for _ in range(2):
        data, validation = feed(Delivery(loader), num_steps=1), feed(Delivery(loader))
        model.optimizer.learning_rate = 0.0
        history = model.fit(
            data.data,
            steps_per_epoch=data.steps,
            validation_data=validation.data,
            validation_steps=validation.steps,
            shuffle=False,
            verbose=0,
        )
        losses.append(history.history["val_loss"][0])
    assert losses[0] == losses[1]


def test_feed_raises_the_loaders_own_error(loader, counting, numbers):
    numbers.bad = {5}
    delivery = Delivery(loader)
    data = feed(delivery)
    with pytest.raises(OSError, match="s5 is bad"), delivery.raising_failures():
        counting[0].fit(data.data, steps_per_epoch=data.steps, shuffle=False, verbose=0)
