"""`loader=directory_flow` by hand in Keras's own `fit`."""

import keras
import numpy as np
import pytest

from runner import build_loader, compose
from runner.loaders.directory_flow import DirectoryFlowLoader
from runner.records.digests import weights_digest
from tests.support.photos import write_photos


@pytest.fixture
def flow(tmp_path):
    root = write_photos(tmp_path / "photos", ("cat", "dog"), 5)
    keys = [f"data.root={root}", "data.target_size=[6,5]", "data.class_mode=sparse", "data.validation_split=0"]
    with build_loader(compose(["data=directory", *keys, "loader=directory_flow", "loader.batch_size=4"])) as made:
        yield made


def fitted(fit):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(model)
    return weights_digest((str(number), array) for number, array in enumerate(model.get_weights()))


@pytest.mark.parametrize("keys", [{}, {"steps_per_epoch": 3}], ids=["whole epochs", "steps"])
def test_fit_takes_a_flow_as_it_is(flow, keys):
    batches = [(batch.x, batch.y) for batch in flow.stream(0, 6)]
    expected = fitted(lambda model: [model.train_on_batch(x, y) for x, y in batches])
    assert fitted(lambda model: model.fit(flow, epochs=2, verbose=0, **keys)) == expected


def test_evaluate_and_predict_take_a_flow(flow):
    model = keras.Sequential([keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(model.evaluate(flow, verbose=0))
    assert model.predict(flow, verbose=0).shape == (10, 2)


def test_flow_made_before_keras_says_how_to_use_it(flow):
    plain = DirectoryFlowLoader(flow.source, flow.plan, flow.settings)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="a flow of 10 samples in batches of 4; for model.fit, import keras before"):
        model.fit(plain, verbose=0)
    assert repr(flow) == "<a flow of 10 samples in batches of 4>"


def test_keras_and_a_hand_loop_take_epochs_apart(flow):
    expected = [batch.y.tolist() for batch in flow.epoch(1)]
    fitted(lambda model: model.fit(flow, epochs=2, verbose=0))
    [flow[step] for step in range(len(flow))]
    flow.on_epoch_end()
    assert [flow[step][1].tolist() for step in range(len(flow))] == expected
