"""LoaderAdapter: what Keras pulls from on the training thread."""

import threading

from runner.feeds.adapter import LoaderAdapter
from runner.feeds.delivery import Delivery


def test_adapter_reads_nothing_before_it_is_iterated(sequence):
    steps = []
    adapter = LoaderAdapter(Delivery(sequence, steps.append), first_step=0, num_steps=3)
    iterator = iter(adapter.get_tf_dataset())
    assert steps == []
    next(iterator)
    assert steps == [0]


def test_adapter_begins_anew_with_each_iterator(sequence):
    steps = []
    adapter = LoaderAdapter(Delivery(sequence, steps.append), first_step=1, num_steps=2)
    list(adapter.get_jax_iterator())
    list(adapter.get_numpy_iterator())
    assert steps == [1, 2, 1, 2]


def test_adapter_knows_its_length_and_its_smaller_batch(sequence):
    adapter = LoaderAdapter(Delivery(sequence), first_step=0, num_steps=3)
    assert (adapter.num_batches, adapter.batch_size) == (3, 4)
    assert (adapter.has_partial_batch, adapter.partial_batch_size) == (True, 2)


def test_adapter_is_pulled_by_the_thread_that_trains(sequence):
    import keras

    threads = set()
    delivery = Delivery(sequence, lambda step: threads.add(threading.current_thread()))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(LoaderAdapter(delivery, first_step=0, num_steps=3), verbose=0)
    assert threads == {threading.main_thread()}
