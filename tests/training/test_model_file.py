"""The model of a run, saved at its end."""

import keras
import numpy as np
import pytest

from runner.training.model_file import load, model_digest, save


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def test_model_like_the_last_checkpoint_is_a_copy(model, tmp_path, monkeypatch):
    last, digest = tmp_path / "checkpoints/last.keras", model_digest(model)
    last.parent.mkdir()
    model.save(last)
    monkeypatch.setattr(keras.Model, "save", None)
    assert save(model, tmp_path / "model.keras", ["", digest]) == digest
    assert (tmp_path / "model.keras").read_bytes() == last.read_bytes()
    assert not (tmp_path / "model.keras").samefile(last)


@pytest.mark.parametrize("change", ["weights", "no digest", "no file"])
def test_other_models_are_saved_themselves(model, tmp_path, change):
    last, digest = tmp_path / "checkpoints/last.keras", model_digest(model)
    last.parent.mkdir()
    model.save(last)
    if change == "weights":  # as at the end of a run that averages its weights, or restores the best ones
        model.set_weights([np.ones((2, 1)), np.ones(1)])
    if change == "no file":
        last.unlink()
    saved = save(model, tmp_path / "model.keras", [digest, None if change == "no digest" else digest])
    assert saved == model_digest(model) == model_digest(load(tmp_path / "model.keras"))
