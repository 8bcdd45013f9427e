"""Runs that predict an array for each sample: training, errors, and files of the predicted arrays."""

import numpy as np
import pytest

from runner import compose
from runner.errors import ConfigurationError
from runner.modes.run import run
from tests.support.run_files import read_document, read_rows

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")

MLP = ["model=mlp", "model.hidden_units=[4]", "loader.batch_size=8"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Points whose target, shape (2, 2), is known; the weight of half of them is 0."""
    folder = tmp_path_factory.mktemp("arrays")
    x = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    y = x[:, :2, None] * np.float32([1, 2])
    np.savez(folder / "a.npz", x=x, y=y, x_test=x[:5], y_test=y[:5], weight=np.arange(24) % 2)
    return folder / "a.npz", y


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    keys = [
        "data=arrays",
        f"data.path={data[0]}",
        "data.class_mode=raw",
        "data.weights=weight",
        "data.validation_split=0",
    ]
    run(compose([*keys, *MLP, "train.epochs=2"]), folder=folder)
    return folder


def test_predicted_arrays_are_files_with_errors(trained, data):
    rows = read_rows(trained / "predictions.csv")
    assert [row["id"] for row in rows] == [f"test-{number}" for number in range(5)]
    for row, truth in zip(rows, data[1], strict=False):
        predicted = np.load(trained / row["predicted"])
        assert predicted.shape == (2, 2)
        assert float(row["mean_squared_error"]) == pytest.approx(np.square(predicted - truth).mean())
    results = read_document(trained)["results"]["evaluate"]
    assert results["loss"] == pytest.approx(np.mean([float(row["mean_squared_error"]) for row in rows]), rel=1e-5)


def test_arrays_are_predicted_without_targets(trained, data, tmp_path):
    keys = [f"from_run={trained}", "split=test", "data.class_mode=null", "data.weights=null"]
    run(compose(["mode=predict", *keys]), folder=tmp_path)
    rows = read_rows(tmp_path / "predictions.csv")
    assert list(rows[0]) == ["id", "predicted"]
    first = read_rows(trained / "predictions.csv")[0]["predicted"]
    assert np.allclose(np.load(tmp_path / rows[0]["predicted"]), np.load(trained / first))


def test_training_without_labels_is_refused(data, tmp_path):
    keys = ["data=arrays", f"data.path={data[0]}", "data.class_mode=null"]
    with pytest.raises(ConfigurationError, match="mode=fit must have labels to train on, got data.class_mode=null"):
        run(compose([*keys, "mode=fit", *MLP]), folder=tmp_path)


def test_batches_of_ones_own_have_array_targets(tmp_path, monkeypatch):
    (tmp_path / "mine_maps_b.py").write_text(
        "import numpy as np\n"
        "def maps():\n"
        "    for step in range(3):\n"
        "        x = np.random.default_rng(step).normal(size=(4, 3))\n"
        "        yield x, x[:, :2, None] * [1.0, 2.0], np.array([1, 0, 1, 2])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    keys = [
        "extensions=[mine_maps_b]",
        "data=none",
        "loader=custom",
        "loader.target=mine_maps_b.maps",
        "loader.train_steps=3",
    ]
    keys += ["loader.test_arguments={}", "loader.test_steps=3", "loader.class_mode=raw"]
    folder = tmp_path / "run"
    folder.mkdir()
    run(compose([*keys, *MLP[:2], "train.epochs=1"]), folder=folder)
    assert len(read_rows(folder / "predictions.csv")) == 12
    assert read_document(folder)["data"]["heads"] == [
        {"name": "", "mode": "raw", "class_names": [], "value_names": [], "shape": [2, 2]}
    ]
