"""Fake sources: sample `i` is an array full of the number `i`, with the id "si"."""

import os
import signal
import sys
import time

import numpy as np

from runner.batch import ArraySpec
from runner.data.labels import NO_LABELS
from runner.data.source import Source
from runner.errors import BadSampleError
from runner.fields import Layout
from runner.place import Place

ONE_NUMBER = ArraySpec((1,), np.dtype(np.float32))
FRAMEWORKS = {"keras", "tensorflow", "jax"}


def torn(name):
    return BadSampleError(name, "torn")


class NumberSource(Source):
    """Counts its reads in `reads`; reading a sample whose index is in `bad` raises `error(id)`."""

    def __init__(self, num_samples, spec=ONE_NUMBER, *, labels=NO_LABELS, bad=(), error=torn):
        self.spec, self.labels, self.bad, self.reads = spec, labels, bad, 0
        self.ids = tuple(f"s{number}" for number in range(num_samples))
        self.error = error

    def read(self, index, out=None):
        self.reads += 1
        if index in self.bad:
            raise self.error(self.ids[index])
        out = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        out[...] = np.int64(index)  # wraps around in small types
        return out


PATIENT = Layout(
    (
        ("image", ArraySpec((3, 5, 1), np.dtype(np.uint8))),
        ("age", ArraySpec((1,), np.dtype(np.float32))),
        ("before/after", ArraySpec((2,), np.dtype(np.int64))),
    )
)


class PatientSource(Source):
    """Sample `i` has three arrays full of the number `i`; with a `folder` it reads that from two files."""

    spec, labels = PATIENT, NO_LABELS

    def __init__(self, num_samples, folder=None, *, bad=()):
        self.ids = tuple(f"p{number}" for number in range(num_samples))
        self.folder, self.bad = folder, bad
        for index, name in enumerate(self.ids if folder else ()):
            for kind in ("image", "numbers"):
                (folder / f"{name}.{kind}").write_text(str(index))

    def places(self, index):
        kinds = ("image", "numbers") if self.folder else ()
        return tuple(Place(str(self.folder / f"{self.ids[index]}.{kind}")) for kind in kinds)

    def read(self, index, out=None):
        if index in self.bad:
            raise torn(self.ids[index])
        values = self.spec.empty() if out is None else out
        image, numbers = (int(place.read()) for place in self.places(index)) if self.folder else (index, index)
        values.arrays["image"][...] = image
        values.arrays["age"][...] = values.arrays["before/after"][...] = numbers
        return values


class ObedientSource(Source):
    """Sample `i` is `[i, number of frameworks imported]`; from `since` on reading does what `order` says."""

    spec = ArraySpec((2,), np.dtype(np.float32))
    labels = NO_LABELS

    def __init__(self, order, num_samples=8, since=0):
        self.order, self.since = order, since
        self.ids = tuple(f"s{number}" for number in range(num_samples))

    def read(self, index, out=None):
        if index >= self.since:
            self.obey(index)
        out[...] = [index, len(FRAMEWORKS & set(sys.modules))]
        return out

    def obey(self, index):
        if self.order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while self.order == "hang":  # a test ends its threads with another order
            time.sleep(0.01)
        if self.order == "doze":
            time.sleep(0.01)
        if self.order == "fail":
            raise OSError(f"sample {index} is bad")
