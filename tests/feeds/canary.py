"""Four thousand batches through the real feed, some of them kept: each holds what its ids say, then and later."""

from collections import deque
from itertools import islice
from unittest import mock

import keras
import numpy as np

from runner.batch import ArraySpec
from runner.feeds.dataset import OneEpoch
from runner.feeds.delivery import RecordedDelivery
from runner.loaders.buffers import aligned_bytes
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from tests.support.sources import NumberSource

KINDS = {"generator": Generator(), "in_memory": InMemory(workers=1), "sequence": Sequence(workers=2)}
NUM_PREDICTED, NUM_TAKEN = 334, 1000
LAGS, KEPT_EVERY = 40, 97


def numbers_source():
    """Sample `i` is an image full of `i`."""
    return NumberSource(200, ArraySpec((4, 4, 1), np.dtype(np.uint8)))


def numbers_of(ids):
    """The number of each id."""
    return np.asarray([name[1:] for name in ids], np.uint8)


def tensor_of(array):
    """The array as the backend takes it: JAX, where Keras would copy it, and PyTorch use its memory."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.device_put(array)
    return keras.ops.convert_to_tensor(array)


class Keeping(OneEpoch):
    """Keeps the batches as the backend's own tensors: the last few, and one of many for good.

    A batch is looked at when it is dropped, so this consumer is slow by that many batches.
    """

    def __init__(self, delivery, num_steps):
        super().__init__(delivery, num_steps=num_steps)
        self.last, self.kept, self.checked = deque(), [], 0

    def keep(self, batches):
        for step, batch in enumerate(batches):
            pair = (tensor_of(batch[0]), self._delivery.ids(step))
            self.last.append(pair)
            if step % KEPT_EVERY == 0:
                self.kept.append(pair)
            if len(self.last) > LAGS:
                self.check(self.last.popleft())
            del pair
            yield batch

    def check(self, pair):
        tensor, ids = pair
        assert (keras.ops.convert_to_numpy(tensor).reshape(2, -1) == numbers_of(ids)[:, None]).all(), ids
        self.checked += 1

    def check_all(self):
        """Look at what is left, and at what was kept."""
        for pair in (*self.last, *self.kept):
            self.check(pair)
        assert self.checked == len(self) + len(range(0, len(self), KEPT_EVERY))

    def get_tf_dataset(self):
        return self.keep(super().get_tf_dataset())

    def get_jax_iterator(self):
        return self.keep(super().get_jax_iterator())

    def get_torch_dataloader(self):
        return self.keep(super().get_torch_dataloader())


def darkest_and_brightest():
    """A model that gives the least and the greatest value of each sample."""
    pixels = keras.Input((4, 4, 1), dtype="uint8")
    values = keras.ops.reshape(keras.ops.cast(pixels, "float32"), (-1, 16))
    return keras.Model(pixels, keras.ops.stack([keras.ops.min(values, axis=1), keras.ops.max(values, axis=1)], axis=1))


def fly(kind, num_predicted=NUM_PREDICTED, num_taken=NUM_TAKEN):
    """Predicts from some batches, and takes others by hand; `AssertionError` where one is not what its ids say."""
    with KINDS[kind].build(numbers_source(), Plan(num_samples=200, batch_size=2, seed=3)) as loader:
        delivery = RecordedDelivery(loader)
        data = Keeping(delivery, num_predicted)
        predicted = darkest_and_brightest().predict(data, steps=num_predicted, verbose=0)
        expected = numbers_of([name for step in range(num_predicted) for name in delivery.ids(step)])
        assert (predicted == expected[:, None]).all()
        data.check_all()
        take(delivery, num_taken)


def take(delivery, num_steps):
    data = Keeping(delivery, num_steps)
    feeds = {"tensorflow": data.get_tf_dataset, "jax": data.get_jax_iterator, "torch": data.get_torch_dataloader}
    deque(islice(feeds[keras.backend.backend()](), num_steps), maxlen=0)
    data.check_all()


def dies_of_memory_used_again_too_early():
    """Whether it would be noticed if all batches had the same memory."""
    shared = aligned_bytes(32)
    with (
        mock.patch("runner.loaders.reader.aligned_bytes", lambda num_bytes: shared[:num_bytes]),
        Generator().build(numbers_source(), Plan(num_samples=200, batch_size=2, seed=3)) as loader,
    ):
        try:
            take(RecordedDelivery(loader), 200)
        except AssertionError:
            return True
    return False
