"""A source that does as it is told, for loaders that must cope with it."""

import os
import signal
import sys
import time

import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import NO_LABELS
from runner.data.source import Source

FRAMEWORKS = {"keras", "tensorflow", "jax"}


class Obedient(Source):
    """Sample `i` is `[i, number of frameworks imported]`; from `since` on a sample does as `order` says."""

    spec = ArraySpec((2,), np.dtype(np.float32))
    labels = NO_LABELS

    def __init__(self, order, num_samples=8, since=0):
        self.order, self.since = order, since
        self.ids = tuple(f"s{number}" for number in range(num_samples))

    def __len__(self):
        return len(self.ids)

    def read(self, index, out=None):
        if index >= self.since:
            self.obey(index)
        out[...] = [index, len(FRAMEWORKS & set(sys.modules))]
        return out

    def obey(self, index):
        if self.order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while self.order == "hang":  # a test ends its threads by another order
            time.sleep(0.01)
        if self.order == "doze":
            time.sleep(0.01)
        if self.order == "fail":
            raise OSError(f"sample {index} is bad")


@pytest.fixture
def obedient():
    return Obedient
