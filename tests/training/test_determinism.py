"""Operations that cannot give the same bits every time are named."""

import pytest

import runner
from runner.errors import TrainingError
from runner.training.backend import naming_refusals

CODE = """
import keras
import tensorflow as tf

@keras.saving.register_keras_serializable()
class Noise(keras.layers.Layer):
    def compute_output_shape(self, shape):
        return shape

    def call(self, x, training=False):
        if not training:
            return x
        return x + tf.random.Generator.from_non_deterministic_state().uniform(())

def build(input_shape, num_classes):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(num_classes, "softmax")]
    return keras.Sequential([keras.Input(input_shape), *layers, Noise()])
"""


def test_refused_operation_is_named_with_the_mend(tmp_path, digits_root, monkeypatch):
    pytest.importorskip("tensorflow")
    (tmp_path / "noisy.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "run").mkdir()
    config = ["extensions=[noisy]", "model=custom", "model.target=noisy.build", f"data.root={digits_root}"]
    with pytest.raises(TrainingError, match=r"from_non_deterministic_state.*; .*set deterministic=false"):
        runner.run(runner.compose([*config, "train.epochs=1", "data.limit=20"]), folder=tmp_path / "run")


@pytest.mark.parametrize(
    "text",
    [
        "A deterministic GPU implementation of CropAndResizeBackpropImage is not currently available.",
        "put_ does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'.",
    ],
)
def test_the_frameworks_own_words_are_kept(text):
    with pytest.raises(TrainingError) as error, naming_refusals(deterministic=True):
        raise ValueError(f"Graph execution error:\n\nDetected at node:\n{text}\nmore")
    assert text in str(error.value)
    assert "Graph execution" not in str(error.value)


def test_other_errors_and_settings_are_kept():
    with pytest.raises(ValueError, match="shapes"), naming_refusals(deterministic=True):
        raise ValueError("shapes do not fit")
    with pytest.raises(ValueError, match="deterministic"), naming_refusals(deterministic=False):
        raise ValueError("a deterministic implementation is missing")


def test_known_fault_of_pytorch_is_named():
    with pytest.raises(TrainingError, match="cannot compute the loss of masks"), naming_refusals(deterministic=False):
        raise RuntimeError("grad_input must be contiguous")
