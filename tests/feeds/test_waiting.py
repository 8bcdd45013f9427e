"""The wait for data is measured where the model trains, and found again to two milliseconds."""

import keras
import pytest

from runner.callbacks.epoch_timer import EpochClock
from runner.feeds.dataset import LoaderDataset, feed
from runner.feeds.delivery import Delivery
from runner.loaders.plan import Plan
from tests.support.clocks import VirtualTime

from .conftest import KINDS, is_found_again, stall


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that moves by stalls, and by a microsecond at each reading."""
    made = VirtualTime(tick=1e-6)
    made.install(monkeypatch)
    return made


@pytest.fixture
def held_out(numbers):
    with KINDS["generator"].build(numbers, Plan(num_samples=10, batch_size=4, seed=3)) as made:
        yield made


def test_stall_is_measured_with_every_loader(loader, model, clock):
    list(loader.epoch(0))  # workers are started, samples are held
    stalls = stall(loader, clock)
    model.fit(feed(Delivery(loader), num_steps=12).data, shuffle=False, verbose=0)
    assert len(stalls) == 12
    assert is_found_again(loader.clock.waited_seconds, stalls)


def test_stall_during_validation_is_counted(sequence, held_out, model, clock):
    list(sequence.epoch(0))
    stalls, results = stall(sequence, clock), []
    timer = EpochClock(sequence.clock, results.append)
    late = [keras.callbacks.LambdaCallback(on_test_begin=lambda logs: clock.advance(0.2))]
    for _ in range(2):
        data, validation = feed(Delivery(sequence)), feed(Delivery(held_out))
        model.fit(data.data, validation_data=validation.data, callbacks=[timer, *late], shuffle=False, verbose=0)
    for result, stalled in zip(results, (stalls[:3], stalls[3:]), strict=True):
        assert is_found_again(result.wait_seconds, stalled)
        assert result.wait_seconds < result.training_seconds < result.seconds - 0.19


def test_later_training_excludes_first_step(sequence, model, clock):
    list(sequence.epoch(0))
    stalls, results, delivery = stall(sequence, clock), [], Delivery(sequence)
    timer = EpochClock(sequence.clock, results.append)
    compiling = iter([0.5])
    slow = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: clock.advance(next(compiling, 0)))
    for first_step in (0, 3):
        data = feed(delivery, first_step=first_step).data
        model.fit(data, callbacks=[timer, slow], shuffle=False, verbose=0)
    first, second = results
    assert is_found_again(first.later_wait_seconds, stalls[1:3])
    assert first.later_wait_seconds <= first.later_training_seconds < first.training_seconds - 0.5
    assert second.later_wait_seconds == second.wait_seconds
    assert second.later_training_seconds == second.training_seconds
    assert (first.steps, first.later_steps, second.steps, second.later_steps) == (3, 2, 3, 3)
    assert first.wait_share > first.wait_seconds / first.training_seconds
    assert first.steps_per_second > 2 * first.steps / first.training_seconds
    assert second.steps_per_second == second.steps / second.training_seconds


def test_run_of_one_step_has_no_later_training(sequence, model):
    results = []
    timer = EpochClock(sequence.clock, results.append)
    model.fit(feed(Delivery(sequence), num_steps=1).data, callbacks=[timer], shuffle=False, verbose=0)
    assert (results[0].later_training_seconds, results[0].later_wait_seconds) == (0.0, 0.0)
    assert (results[0].steps, results[0].later_steps) == (1, 0)
    assert 0 < results[0].wait_share == results[0].wait_seconds / results[0].training_seconds
    assert results[0].steps_per_second == 1 / results[0].training_seconds


def test_out_of_order_batch_counts_as_wait(sequence):
    LoaderDataset(sequence)[2]
    assert sequence.clock.waited_seconds > 0
