"""How often TensorFlow traces a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery
from runner.feeds.tensorflow_batches import TensorFlowBatches


class Traced(keras.layers.Layer):
    """Notes the shape of every input it is traced for; `build` calls it as well."""

    def __init__(self):
        super().__init__()
        self.training_shapes = []

    def call(self, x, training=False):
        if training:
            self.training_shapes.append(tuple(x.shape))
        return x


@pytest.fixture
def traced():
    layer = Traced()
    model = keras.Sequential([keras.Input((1,)), layer, keras.layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    layer.training_shapes.clear()
    return model, layer


@pytest.mark.parametrize("first_step", [0, 2])
def test_step_is_traced_once_for_all_batch_sizes(traced, sequence, first_step):
    model, layer = traced
    assert [len(batch.ids) for batch in sequence.epoch(0)] == [4, 4, 2]
    for epoch in range(2):
        data = feed(Delivery(sequence), first_step=3 * epoch + first_step, num_steps=3 - first_step, model=model)
        model.fit(data.data, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0)
    assert layer.training_shapes == [(None, 1)]
    assert model.optimizer.iterations == 2 * (3 - first_step)


@pytest.mark.parametrize("is_eager", [False, True])
def test_only_a_traced_model_is_built_ahead(traced, monkeypatch, is_eager):
    built = []
    monkeypatch.setattr(keras.Model, "_symbolic_build", lambda model, data_batch: built.append(data_batch))
    monkeypatch.setattr(tf.config, "functions_run_eagerly", lambda: is_eager)
    first = (np.zeros((2, 1)), np.zeros(2))
    next(iter(TensorFlowBatches([first], traced[0])))
    assert built == ([] if is_eager else [first])


def test_values_arrive_as_they_are(traced, sequence):
    model, _ = traced
    predicted = model.predict(feed(Delivery(sequence)).data, verbose=0)
    in_order = np.concatenate([batch.x for batch in sequence.epoch(0)])
    np.testing.assert_allclose(predicted, model(in_order), rtol=1e-6)


def test_custom_train_step_model_builds_itself(sequence):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.seen = self.add_weight(shape=(), initializer="zeros")

        def train_step(self, data):
            self.seen.assign_add(keras.ops.cast(keras.ops.shape(data[0])[0], "float32"))
            return {"seen": self.seen}

    model = Own()
    model.compile()
    model.fit(feed(Delivery(sequence), model=model).data, shuffle=False, verbose=0)
    assert model.seen == 10
