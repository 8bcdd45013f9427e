"""What must hold on every backend. As a script, in a process of its own: it prints the backend, then what holds."""

import sys

import keras
import pytest

from runner.callbacks.epoch_timer import EpochClock
from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery
from runner.loaders.plan import Plan
from tests.feeds import canary
from tests.feeds.conftest import KINDS, is_found_again, numbers_source, stall
from tests.feeds.paced import two_steps_are_in_flight_at_most
from tests.support.clocks import VirtualTime


def batches_match_their_ids():
    for kind in canary.KINDS:
        canary.fly(kind)
    return canary.dies_of_memory_used_again_too_early()


def stalls_are_found_again():
    with pytest.MonkeyPatch.context() as patched:
        clock = VirtualTime(tick=1e-6)
        clock.install(patched)
        return all(finds_stalls(kind, num_steps, clock) for kind in KINDS.values() for num_steps in (1, 12))


def finds_stalls(kind, num_steps, clock):
    model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with kind.build(numbers_source(), Plan(num_samples=10, batch_size=4, seed=3)) as loader:
        list(loader.epoch(0))
        stalls, results, steps = stall(loader, clock), [], []
        data = feed(Delivery(loader, steps.append), num_steps=num_steps).data
        model.fit(data, shuffle=False, verbose=0, callbacks=[EpochClock(loader.clock, results.append)])
    assert steps[-num_steps:] == [*range(num_steps)], steps
    assert is_found_again(results[0].wait_seconds, stalls), (results, stalls)
    assert results[0].wait_seconds <= results[0].training_seconds, results
    return True


if __name__ == "__main__":
    checks = [keras.backend.backend, stalls_are_found_again, batches_match_their_ids]
    if keras.backend.backend() == "jax":
        checks.insert(1, two_steps_are_in_flight_at_most)
    for check in checks:
        sys.stdout.write(f"{check.__name__} {check()}\n")
        sys.stdout.flush()
