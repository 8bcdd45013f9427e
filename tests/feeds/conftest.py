"""Loaders over tiny arrays, whose every sample holds its own number."""

import numpy as np
import pytest

from runner.data.labels import Head, Labels
from runner.loaders.directory_flow import DirectoryFlowLoader
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from tests.support.sources import NumberSource

NUM_SAMPLES = 10
KINDS = {"generator": Generator(), "in_memory": InMemory(workers=1), "sequence": Sequence(workers=2)}


STALL_SECONDS = 0.03


def numbers_source():
    """Ten samples; the class of sample `i` is `i % 2`."""
    labels = Labels((Head("", "sparse", ("even", "odd")),), (np.arange(NUM_SAMPLES) % 2,))
    return NumberSource(NUM_SAMPLES, labels=labels, error=lambda name: OSError(f"{name} is bad"))


def stall(loader, clock):
    """Make every batch of `loader` come late, by a virtual clock; the list of how late they were."""
    stalls, stream = [], loader.stream

    def stalling(*args):
        for batch in stream(*args):
            clock.advance(STALL_SECONDS)
            stalls.append(STALL_SECONDS)
            yield batch

    loader.stream = stalling
    return stalls


def is_found_again(waited_seconds, stalls):
    """Whether the stalls are the wait, but for the readings of the clock, each of which takes a microsecond."""
    return 0 < waited_seconds - sum(stalls) < 0.002


@pytest.fixture
def numbers():
    return numbers_source()


@pytest.fixture(params=[*KINDS, "directory_flow"])
def loader(request, numbers):
    """A loader of each kind, 3 steps a pass: batches of 4, 4 and 2."""
    plan = Plan(num_samples=NUM_SAMPLES, batch_size=4, seed=3)
    if request.param == "directory_flow":
        made = DirectoryFlowLoader(numbers, plan, Sequence(workers=1))
    else:
        made = KINDS[request.param].build(numbers, plan)
    with made:
        yield made


@pytest.fixture
def sequence(numbers):
    with Sequence(workers=2).build(numbers, Plan(num_samples=NUM_SAMPLES, batch_size=4, seed=3)) as made:
        yield made
