"""`mode=export`: a run whose model is written in other formats, by a process on TensorFlow, and compared."""

import json
import shutil

import numpy as np
import pytest

from runner import component, compose
from runner.errors import ConfigurationError, RunnerError, VerifyError
from runner.exports.session import ExportSession
from runner.modes import export
from runner.modes.run import run
from runner.records.run_folder import read_run
from tests.support.photos import write_photos

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

FORMATS = "export.formats=[onnx,litert,saved_model]"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, eager):
    """A run that learns a class and a number, which says that it was on JAX: model.keras is the same."""
    root = tmp_path_factory.mktemp("trained")
    write_photos(root / "photos", ("cat", "dog"), 10)
    rows = (f"{name}/{number:02}.png,{name},{number}\n" for name in ("cat", "dog") for number in range(10))
    (root / "photos.csv").write_text("path,animal,size\n" + "".join(rows))
    data = ["data=dataframe", f"data.manifest={root}/photos.csv", f"data.root={root}/photos", "data.test_split=0.3"]
    data += ["data.class_mode={animal: sparse, size: raw}", "data.target_size=[4,4]"]
    (root / "run").mkdir()
    quick = ["mode=fit", "model=mlp", "model.hidden_units=[4]", "train.epochs=1", "loader.batch_size=4"]
    run(compose([*data, *quick]), folder=root / "run")
    config = root / "run/config.yaml"
    config.write_text(config.read_text().replace("backend: tensorflow", "backend: jax"))
    return root / "run"


class SessionHere:
    """In place of the process: the session in this one."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """End nothing."""

    def call(self, name, *arguments):
        if name == "load":
            self.session = ExportSession(*arguments)
            return self.session.facts
        return getattr(self.session, name)(*arguments)


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(export, "ExportProcess", SessionHere)


def test_all_formats_are_written_and_proved(trained, tmp_path, capsys):
    (tmp_path / "export").mkdir()
    record = run(compose(["mode=export", f"from_run={trained}", FORMATS]), folder=tmp_path / "export").document
    assert (record["status"], record["backend"]) == ("completed", "tensorflow")
    assert record["from_run"]["weights"] == read_run(trained)["digests"]["weights"]
    files = {file.name for file in (tmp_path / "export/export").iterdir()}
    assert files == {"model.onnx", "model.tflite", "saved_model", "export.json"}
    document = json.loads((tmp_path / "export/export/export.json").read_text())
    assert document["samples"] == read_run(trained)["data"]["samples"]["test"]
    assert document["heads"] == [
        {"name": "animal", "class_mode": "sparse", "classes": ["cat", "dog"]},
        {"name": "size", "class_mode": "raw", "classes": []},
    ]
    for one in document["formats"].values():
        assert [port["name"] for port in one["inputs"]] == ["sample"]
        assert {port["head"] for port in one["outputs"]} == {"animal", "size"}
        assert all(agreement["agrees"] for agreement in one["agreement"].values())
        assert len(one["digest"]) == 32
    assert "in 6 samples of split test" in capsys.readouterr().out


def test_other_predictions_end_with_an_error(trained, tmp_path, here, monkeypatch):
    """The model predicts other values once it is exported."""
    predict = export.ExportProcess.call

    def changed(self, name, *arguments):
        if name == "compare":
            model = self.session._model
            model.set_weights([weights + np.float32(0.1) for weights in model.get_weights()])
        return predict(self, name, *arguments)

    monkeypatch.setattr(SessionHere, "call", changed)
    with pytest.raises(VerifyError, match=r"(?s)differ from .*:\nsaved_model, output animal: largest difference"):
        run(compose(["mode=export", f"from_run={trained}"]), folder=tmp_path)
    assert read_run(tmp_path)["status"] == "completed"
    assert (tmp_path / "export/saved_model").is_dir()


def test_formats_that_fail_are_named_together(trained, tmp_path, here, monkeypatch):
    def broken(self, one, x):
        raise ValueError(f"no {one.format}")

    monkeypatch.setattr(ExportSession, "_write", broken)
    with pytest.raises(RunnerError) as caught:
        run(compose(["mode=export", f"from_run={trained}", "export.formats=[onnx,litert]"]), folder=tmp_path)
    assert str(caught.value).splitlines() == [
        "onnx cannot hold this model: no onnx",
        "litert cannot hold this model: no litert",
        "leave onnx and litert out of export.formats, or change the model",
    ]


def test_training_samples_are_the_last_resort(trained, tmp_path, here):
    whole = ["data.validation_split=0", "data.test_split=0"]
    record = run(compose(["mode=export", f"from_run={trained}", *whole]), folder=tmp_path).document
    assert (record["results"]["export"]["split"], record["results"]["export"]["samples"]) == ("train", 20)


def test_missing_packages_are_named_at_once(trained, monkeypatch):
    monkeypatch.setattr(component, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError) as caught:
        compose(["mode=export", f"from_run={trained}", FORMATS])
    assert len(caught.value.problems) == 4
    assert (
        "export.formats=[litert] needs the package ai_edge_litert, which is not installed; pip install "
        "'keras-runner[litert]', or leave litert out of export.formats"
    ) in caught.value.problems


def test_dead_process_is_an_error():
    with export.ExportProcess() as child:
        child._child.kill()
        with pytest.raises(RunnerError, match="the process that exports died during load: exit code -9"):
            child.call("load")


def test_model_that_cannot_be_read_is_named(trained, tmp_path, here):
    folder = shutil.copytree(trained, tmp_path / "damaged")
    for file in (folder / "model.keras", folder / "checkpoints/best.keras"):
        file.write_bytes(b"no model")
    (tmp_path / "export").mkdir()
    with pytest.raises(RunnerError, match=r"best.keras cannot be loaded as a Keras model"):
        run(compose(["mode=export", f"from_run={folder}"]), folder=tmp_path / "export")
