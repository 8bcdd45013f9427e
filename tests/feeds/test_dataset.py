"""LoaderDataset: a PyDataset that Keras pulls from on the training thread."""

import threading

import keras
import numpy as np
import pytest

from runner.feeds.dataset import LoaderDataset
from runner.feeds.delivery import Delivery


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


@pytest.fixture
def told(sequence):
    """A delivery over the loader, and the steps it has handed over."""
    steps = []
    return Delivery(sequence, steps.append), steps


def test_dataset_is_a_pydataset_of_one_pass(sequence):
    dataset = LoaderDataset(sequence)
    assert isinstance(dataset, keras.utils.PyDataset)
    assert len(dataset) == dataset.num_batches == len(sequence) == 3


@pytest.mark.parametrize("num_steps", [1, 2, 3, 5])
def test_manual_iteration_gives_every_step_once(told, model, num_steps):
    delivery, steps = told
    model.fit(LoaderDataset(delivery, num_steps=num_steps), epochs=3, verbose=0)
    assert steps == list(range(3 * num_steps))


def test_manual_iteration_allows_validation(told, sequence, model):
    delivery, steps = told
    validation = LoaderDataset(sequence)
    model.fit(LoaderDataset(delivery), epochs=2, verbose=0, validation_data=validation, shuffle=False)
    assert steps == list(range(6))


def test_training_thread_pulls_the_dataset(sequence, model):
    threads = set()
    delivery = Delivery(sequence, lambda step: threads.add(threading.current_thread()))
    model.fit(LoaderDataset(delivery), verbose=0)
    assert threads == {threading.main_thread()}


def test_dataset_is_lazy(told):
    delivery, steps = told
    iterator = iter(LoaderDataset(delivery).get_tf_dataset())
    assert steps == []
    next(iterator)
    assert steps == [0]


def test_dataset_gives_any_batch_out_of_turn(sequence):
    dataset = LoaderDataset(sequence)
    expected = list(sequence.epoch(0))
    for index in (2, 0, 1, -1, 1):
        assert np.array_equal(dataset[index][0], expected[index].x)


def test_dataset_restarts_after_partial_epoch(told, sequence):
    delivery, steps = told
    dataset = LoaderDataset(delivery)
    next(iter(dataset))
    dataset.on_epoch_end()
    given = [x for x, _ in dataset]
    assert steps == [0, 0, 1, 2]
    assert all(np.array_equal(x, batch.x) for x, batch in zip(given, sequence.epoch(0), strict=True))


def test_dataset_refuses_an_index_beyond_its_end(sequence):
    with pytest.raises(IndexError):
        LoaderDataset(sequence)[3]


def test_dataset_continues_into_the_next_pass(sequence):
    dataset = LoaderDataset(sequence, first_step=2, num_steps=3)
    given = np.concatenate([x for x, _ in dataset])
    expected = np.concatenate([batch.x for batch in sequence.stream(2, 3)])
    assert np.array_equal(given, expected)


def test_dataset_knows_its_smaller_batch(sequence):
    dataset = LoaderDataset(sequence)
    assert (dataset.batch_size, dataset.has_partial_batch, dataset.partial_batch_size) == (4, True, 2)
