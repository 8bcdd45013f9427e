"""LoaderDataset: the PyDataset that can be driven by hand."""

import keras
import numpy as np
import pytest

from runner.feeds.dataset import LoaderDataset
from runner.feeds.delivery import Delivery


def delivered(dataset, monkeypatch):
    """Steps in the order Keras first got them."""
    steps, hand_over = [], Delivery.hand_over
    monkeypatch.setattr(
        Delivery, "hand_over", lambda self, step, batch: (steps.append(step), hand_over(self, step, batch))[1]
    )
    return steps


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


def test_dataset_is_a_pydataset_of_one_pass(sequence):
    dataset = LoaderDataset(sequence)
    assert isinstance(dataset, keras.utils.PyDataset)
    assert len(dataset) == len(sequence) == 3


def test_dataset_gives_the_plans_batches_epoch_after_epoch_by_hand(sequence, model, monkeypatch):
    dataset = LoaderDataset(sequence)
    steps = delivered(dataset, monkeypatch)
    model.fit(dataset, epochs=3, shuffle=False, verbose=0)
    assert steps == list(range(9))


def test_dataset_by_hand_beside_validation_keeps_count(sequence, model, monkeypatch):
    dataset = LoaderDataset(sequence)
    steps = delivered(dataset, monkeypatch)
    model.fit(dataset, epochs=2, shuffle=False, verbose=0, validation_data=(np.zeros((2, 1)), np.zeros(2)))
    assert steps == list(range(6))


def test_dataset_reads_no_batch_twice_though_keras_asks_twice(sequence, monkeypatch):
    dataset = LoaderDataset(sequence)
    steps = delivered(dataset, monkeypatch)
    first = [dataset[0], dataset[1]]
    again = [dataset[0], dataset[1], dataset[2]]
    assert steps == [0, 1, 2]
    assert all(a is b for a, b in zip(first, again, strict=False))


def test_dataset_gives_any_batch_out_of_turn(sequence):
    dataset = LoaderDataset(sequence)
    expected = list(sequence.epoch(0))
    for index in (2, 0, 1, -1):
        assert np.array_equal(dataset[index][0], expected[index].x)


def test_dataset_stays_in_its_epoch_until_the_last_index_was_given(sequence):
    dataset = LoaderDataset(sequence)
    first = dataset[0][0]
    dataset.on_epoch_end()
    assert np.array_equal(dataset[0][0], first)
    dataset[len(dataset) - 1]
    dataset.on_epoch_end()
    assert np.array_equal(dataset[0][0], next(sequence.epoch(1)).x)


def test_dataset_refuses_an_index_beyond_its_end(sequence):
    with pytest.raises(IndexError):
        LoaderDataset(sequence)[3]


def test_dataset_of_more_than_a_pass_goes_on_over_its_end(sequence):
    dataset = LoaderDataset(sequence, first_step=2, num_steps=3)
    given = np.concatenate([dataset[index][0] for index in range(3)])
    expected = np.concatenate([batch.x for batch in sequence.stream(2, 3)])
    assert np.array_equal(given, expected)
