"""How far JAX may run ahead of the device."""

import keras
import numpy as np

from runner.batch import ArraySpec
from runner.callbacks.callback_list import PacedCallbacks
from runner.data.labels import Head, Labels
from runner.data.source import Source
from runner.feeds.dataset import LoaderDataset
from runner.feeds.delivery import Delivery
from runner.loaders.kinds import Generator
from runner.loaders.plan import Plan

STEPS, BATCH, WIDTH = 12, 64, 512


class Zeros(Source):
    spec, ids = ArraySpec((WIDTH,), np.dtype(np.float32)), tuple(map(str, range(STEPS * BATCH)))
    labels = Labels((Head("", "binary", ("a", "b")),), (np.arange(STEPS * BATCH) % 2,))

    def __len__(self):
        return len(self.ids)

    def read(self, index, out=None):
        out[...] = 0
        return out


def watching(base, model):
    import jax

    class Watching(base):
        def __init__(self):
            super().__init__(model=model, add_history=True)
            self.results, self.most = [], 0

        def on_train_batch_end(self, batch, logs=None):
            self.results.append(jax.tree.leaves(logs)[0])
            super().on_train_batch_end(batch, logs)

        def on_test_batch_end(self, batch, logs=None):
            self.results.append(jax.tree.leaves(logs)[0])
            super().on_test_batch_end(batch, logs)

        def on_predict_batch_end(self, batch, logs=None):
            self.results.append(jax.tree.leaves(logs)[0])
            super().on_predict_batch_end(batch, logs)

        def on_step(self, step):
            self.most = max(self.most, 1 + sum(not result.is_ready() for result in self.results))

    return Watching()


def most_in_flight(call, base, model):
    callbacks = watching(base, model)
    with Generator().build(Zeros(), Plan(num_samples=STEPS * BATCH, batch_size=BATCH, seed=0)) as loader:
        call(LoaderDataset(Delivery(loader, callbacks.on_step)), verbose=0, callbacks=callbacks)
    assert len(callbacks.results) == STEPS, len(callbacks.results)
    return callbacks.most


def two_steps_are_in_flight_at_most():
    hidden = [keras.layers.Dense(WIDTH) for _ in range(6)]
    model = keras.Sequential([keras.Input((WIDTH,)), *hidden, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for call in (model.fit, model.evaluate, model.predict):
        paced = most_in_flight(call, PacedCallbacks, model)
        assert paced <= 2, (call, paced)
        # A processor that is busy with other things may compute each step before the next one begins.
        assert any(most_in_flight(call, keras.callbacks.CallbackList, model) > 2 for _ in range(20)), call
    return True
