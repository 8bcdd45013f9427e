"""cnn3d: volumes with a channel axis and without."""

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import DataError
from runner.models.base import Task, output_of
from runner.models.cnn import CNN3D
from runner.models.compile import compile_model

SMALL = CNN3D(filters=(4, 8), dense_units=8)


def task(shape, dtype=np.float32):
    head = Head("", "sparse", ("a", "b", "c"))
    return Task(ArraySpec(shape, np.dtype(dtype)), "none", (output_of(head, shape),))


@pytest.mark.parametrize("shape", [(8, 6, 4, 2), (8, 6, 4)])
def test_cnn3d_trains_on_volumes(shape, tmp_path):
    made = task(shape)
    model = SMALL.build(made)
    compile_model(model, made, optimizer="sgd")
    model.run_eagerly = len(shape) == 3  # to trace a function takes longer than to train
    x = np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32)
    history = model.fit(x, np.float32([0, 1, 2, 0, 1, 2]), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert np.array_equal(loaded(x), model(x))


def test_cnn3d_refuses_what_is_no_volume():
    with pytest.raises(DataError, match=r"model=cnn3d needs samples of shape .*, got \(8, 6\); choose model=cnn"):
        SMALL.build(task((8, 6)))


def test_cnn3d_refuses_too_many_halvings():
    with pytest.raises(DataError, match=r"halves depth, height and width 2 times, too often for samples of 8×6×3"):
        SMALL.build(task((8, 6, 3, 1)))
