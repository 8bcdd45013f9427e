"""How often TensorFlow traces a step."""

import keras
import numpy as np
import pytest

from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery


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
