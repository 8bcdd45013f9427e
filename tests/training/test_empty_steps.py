"""Training where all samples of a batch are bad: it goes on with the next batch, and counts only what it did."""

import shutil

import keras
import numpy as np
import pytest

from runner.callbacks.terminate_on_nan import refuse_no_numbers
from runner.errors import DataError, TrainingError
from runner.records import state

from .conftest import LOADERS, Points, build, load
from .test_resume import counted, digest, untimed

TORN = {0, 4, 7}


@pytest.fixture
def points():
    source = Points()
    source.torn = TORN
    return source


@pytest.fixture(scope="module")
def good_weights():
    """The weights of a model that Keras trains for two epochs on the batches that hold a sample."""
    source = Points()
    source.torn = TORN
    with load(source) as loader:
        good = [batch for batch in loader.stream(0, 20) if len(batch)]
    settings = type("Settings", (), {"precision": "float32", "jit_compile": "auto"})
    settings.build_optimizer = staticmethod(lambda steps: keras.optimizers.SGD(0.1))
    model = build(source, settings)
    for start in (0, 7):
        part = good[start : start + 7]
        model.fit(((batch.x, batch.y) for batch in part), steps_per_epoch=7, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("kind", LOADERS)
def test_empty_batches_are_passed_over(train, points, kind, good_weights):
    trained = train(points, kind=kind, epochs=2, validation=True)
    assert {name: trained.result[name] for name in ("steps", "empty_steps", "samples_seen", "epochs")} == {
        "steps": 14, "empty_steps": 6, "samples_seen": 14, "epochs": 2,
    }  # fmt: skip
    assert trained.model.optimizer.iterations == 14
    assert digest(trained.weights) == digest(good_weights)


def test_resume_is_exact_around_empty_steps(train, points, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "KEPT", 99)
    settings = {"checkpoint_every": {"steps": 5}, "epochs": 2}
    whole = train(points, **settings)
    steps = [int(file.stem.partition("-")[2]) for file in sorted(whole.folder.glob("state-*.npz"))]
    assert len(steps) == 4  # a step that holds no sample may put a state off to the next one
    for number, step in enumerate(steps):
        folder = tmp_path / f"from-{number}"
        folder.mkdir()
        shutil.copy(whole.folder / f"state-{step:012d}.npz", folder)
        again = train(points, start=state.read_state(folder), folder=folder, **settings)
        assert counted(again.result) == counted(whole.result)
        assert untimed(again.rows) == untimed(whole.rows[step // 10 :])
        assert digest(again.weights) == digest(whole.weights)


def test_epoch_without_a_sample_is_refused(train, points):
    with pytest.raises(DataError, match="nothing is left of an epoch of train.steps_per_epoch=1; raise it"):
        train(points, steps_per_epoch=1, epochs=10)


def test_data_without_a_sample_is_refused(train, points):
    points.torn = range(10)
    with pytest.raises(DataError, match="no sample can be read; is the storage available"):
        train(points)


class Poison(keras.layers.Layer):
    """Passes values on, and makes a weight of its own NaN once it has been called in training."""

    def build(self, shape):
        self.spoiled = self.add_weight(name="spoiled", shape=(2,), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.spoiled.assign(self.spoiled + np.nan)
        return x


def poisoned_build(source, settings):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), Poison(), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.fixture
def poisoned(monkeypatch):
    """Training of a model with a weight that becomes NaN, while its loss is finite."""
    monkeypatch.setattr("tests.training.conftest.build", poisoned_build)


@pytest.mark.usefixtures("poisoned")
def test_weights_with_nan_end_the_run(train, tmp_path):
    with pytest.raises(TrainingError, match="^1 of 3 weights .* is no numbers any more after epoch 1: "):
        train(epochs=2)
    assert not list((tmp_path / "0").iterdir())


@pytest.mark.usefixtures("poisoned")
def test_no_state_holds_weights_with_nan(train, tmp_path):
    with pytest.raises(TrainingError, match="any more between step 0 and step 1: first "):
        train(checkpoint_every={"steps": 1})
    assert not list((tmp_path / "0").glob("state-*"))


@pytest.mark.usefixtures("poisoned")
def test_wrong_weights_are_allowed_until_the_end(train):
    trained = train(epochs=1, terminate_on_nan=False)
    with pytest.raises(TrainingError, match="2 of 2 values are NaN; lower train.learning_rate or set .*, and start"):
        refuse_no_numbers(trained.model, "at the end of training")
