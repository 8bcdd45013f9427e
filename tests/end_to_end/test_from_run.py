"""`mode=evaluate` and `mode=predict`: a trained model on its own data and on other data."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest

from runner import compose
from runner.errors import ConfigurationError, DataError, RunnerError
from runner.modes.run import build_loader, run
from tests.support.run_files import read_document, read_rows

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

QUICK = ["train.epochs=2", "train.learning_rate=0.03", "loader.workers=2", "loader.batch_size=160"]
QUICK += ["model=mlp", "model.hidden_units=[64]"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits_root, eager):
    """A short run over the digits, with sparse labels."""
    folder = tmp_path_factory.mktemp("trained")
    config = compose([f"data.root={digits_root}", "data.class_mode=sparse", *QUICK])
    return run(config, folder=folder)


@pytest.fixture
def final(trained, tmp_path):
    """A copy of that run without its best checkpoint, so that its final model is used."""
    folder = tmp_path / "final"
    shutil.copytree(trained.path, folder)
    (folder / "checkpoints/best.keras").unlink()
    return folder


@pytest.fixture(scope="module")
def evaluated(trained, tmp_path_factory):
    """The evaluation of that run's model, and what it printed."""
    config, folder = compose(["mode=evaluate", f"from_run={trained.path}"]), tmp_path_factory.mktemp("evaluated")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        record = run(config, folder=folder)
    return record, printed.getvalue()


@pytest.fixture
def use(tmp_path, trained):
    """Evaluates or predicts with the model of a run."""
    folders = (tmp_path / f"use-{number}" for number in range(9))

    def start(mode, *overrides, of=None):
        folder = next(folders)
        folder.mkdir()
        return run(compose([f"mode={mode}", f"from_run={of or trained.path}", *overrides]), folder=folder)

    return start


@pytest.fixture
def photos(digits_root, tmp_path):
    """Folders of some digits, under the names given by keyword; returns what reads them as the run read its own."""

    def copy(**names):
        root = tmp_path / "photos"
        for number, name in names.items():
            shutil.copytree(digits_root / number.removeprefix("digit"), root / name)
        keys = ("data=directory", f"data.root={root}", "data.target_size=[8,8]", "data.color_mode=grayscale")
        return (*keys, "data.validation_split=0")

    return copy


def rows(record):
    return read_rows(record.path / "predictions.csv")


def accuracy(table):
    return np.mean([row["label"] == row["predicted"] for row in table])


def test_evaluating_same_model_repeats_results(use, trained, final):
    found, before = (run.document["results"]["evaluate"] for run in (use("evaluate", of=final), trained))
    assert found["model"] == "model.keras"
    assert {name: found[name] for name in before} == pytest.approx(before)


def test_same_model_predicts_the_same(use, trained, final):
    found, before = rows(use("predict", of=final)), rows(trained)
    assert [row["id"] for row in found] == [row["id"] for row in before]
    assert accuracy(found) == accuracy(before)


def test_best_checkpoint_precedes_final_model(evaluated, trained):
    record, printed = evaluated
    assert record.document["results"]["evaluate"]["model"] == "checkpoints/best.keras"
    assert f"model     {trained.path}/checkpoints/best.keras" in printed


def test_record_names_the_models_run(use, trained, final):
    document = use("evaluate", of=final).document
    assert document["status"] == "completed"
    assert document["from_run"] == {
        "path": str(final), "model": "model.keras", "weights": trained.document["digests"]["weights"],
        "heads": trained.document["data"]["heads"],
    }  # fmt: skip
    assert set(document["seconds"]) == {"data", "import", "load", "evaluate", "total"}


def test_predictions_match_evaluated_accuracy(use):
    evaluated = use("evaluate", "split=train").document["results"]["evaluate"]
    table = rows(use("predict", "split=train"))
    assert evaluated["split"] == "train"
    assert len(table) == 1256
    assert accuracy(table) == pytest.approx(evaluated["accuracy"], abs=1e-6)


@pytest.mark.parametrize("loader", ["sequence", "directory_flow"])
def test_predictions_keep_source_order(use, trained, digits_root, loader):
    record = use("predict", f"loader={loader}", "loader.batch_size=50", "split=train", "loader.drop_remainder=true")
    with build_loader(compose([f"data.root={digits_root}"]), "train") as loader:
        assert [row["id"] for row in rows(record)] == list(loader.source.ids)


def test_folder_holds_a_record_of_its_own(use, evaluated):
    predicted = use("predict")
    every = {"config.yaml", "run.json", "run.log", "figures", "report.html", "contents", "summary.json"}
    assert {file.name for file in evaluated[0].path.iterdir()} - {"code.patch"} == every
    assert {file.name for file in predicted.path.iterdir()} - {"code.patch"} == every | {"predictions.csv"}


def test_data_without_labels_is_predicted_whole(use, digits_root):
    record = use("predict", "data.class_mode=null")
    table = rows(record)
    assert record.document["results"]["predict"]["split"] == "all"
    assert "label" not in table[0]
    assert [row["id"] for row in table] == sorted(f"{f.parent.name}/{f.name}" for f in digits_root.glob("*/*.png"))
    assert np.mean([row["id"][0] == row["predicted"] for row in table]) > 0.7


def test_unlabelled_split_folders_are_predicted(use, photos, tmp_path):
    data = photos(digit3="train/a", digit8="test/b")
    table = rows(use("predict", *data, "data.class_mode=null"))
    assert [row["id"].split("/")[0] for row in table] == ["train"] * 183 + ["test"] * 174


def test_requested_unlabelled_split_is_read(use):
    record = use("predict", "data.class_mode=null", "split=validation")
    assert len(rows(record)) == 169
    (note,) = record.document["data"]["notes"]  # without classes, other samples are held out
    assert " of 169 validation samples were training samples of " in note


def test_classes_are_mapped_by_name(use, photos):
    """A folder without most classes, and of another class mode: names lead to the model's codes."""
    data = (*photos(digit7="7", digit4="4"), "data.class_mode=categorical", "split=train")
    table = rows(use("predict", *data))
    assert list(table[0]) == ["id", "label", "predicted", *"0123456789"]
    assert {row["label"] for row in table} == {"4", "7"}
    assert accuracy(table) > 0.7
    assert use("evaluate", *data).document["results"]["evaluate"]["accuracy"] == pytest.approx(accuracy(table))


def test_folder_may_hold_a_single_class(use, photos):
    assert {row["label"] for row in rows(use("predict", *photos(digit7="7"), "split=train"))} == {"7"}


def test_unknown_class_is_named(use, photos):
    with pytest.raises(DataError, match=r"must have only class folders of the training data, got seven; remove them"):
        use("evaluate", *photos(digit7="seven", digit4="4"), "split=train")


def test_arrays_are_mapped_by_name_too(use, digits_root, tmp_path):
    with build_loader(compose([f"data.root={digits_root}"]), "train") as loader:
        batch = next(loader.epoch(0))
    names = np.array([name.split("/")[0] for name in batch.ids])
    chosen = np.isin(names, ["1", "2", "9"])
    np.savez(tmp_path / "some.npz", x=batch.x[chosen], y=names[chosen])
    data = ("data=arrays", f"data.path={tmp_path}/some.npz", "data.validation_split=0", "split=train")
    assert [row["label"] for row in rows(use("predict", *data))] == names[chosen].tolist()


def test_unknown_class_of_an_array_is_named(use, tmp_path):
    np.savez(tmp_path / "some.npz", x=np.zeros((2, 8, 8, 1), np.uint8), y=["1", "eleven"])
    with pytest.raises(DataError, match=r"must have only classes of the model \(0, 1, 2.*\), got eleven; remove"):
        use("predict", "data=arrays", f"data.path={tmp_path}/some.npz", "data.validation_split=0", "split=train")


def test_data_that_moved_is_found_by_its_root(use, digits_root, tmp_path, evaluated):
    shutil.copytree(digits_root, tmp_path / "moved")
    assert use("evaluate", f"data.root={tmp_path}/moved").document["results"] == evaluated[0].document["results"]


def test_evaluation_needs_labels(use):
    with pytest.raises(DataError, match="mode=evaluate needs labels, and the data has none; use mode=predict"):
        use("evaluate", "data.class_mode=null")


def test_target_of_another_kind_is_refused(use):
    with pytest.raises(DataError, match=r"the model's target \(sparse\), got input; set data.class_mode"):
        use("evaluate", "data.class_mode=input")


def test_shape_mismatch_reports_both_shapes(use):
    with pytest.raises(DataError, match=r"takes samples of shape 8×8×1, got 16×8×1; for images set data.target_size"):
        use("evaluate", "data.target_size=[16,8]")


def test_samples_of_another_range_are_refused(use, tmp_path):
    np.savez(tmp_path / "some.npz", x=np.zeros((2, 8, 8, 1), np.float32))
    with pytest.raises(DataError, match="takes uint8 samples, got float32"):
        use("predict", "data=arrays", f"data.path={tmp_path}/some.npz", "data.class_mode=null")


def test_split_that_is_not_there_is_refused(use):
    with pytest.raises(DataError, match="split must be one of train, validation, got 'test'"):
        use("evaluate", "data.test_split=0", "split=test")


def test_validation_replaces_a_missing_test_split(use, capsys):
    assert use("evaluate", "data.test_split=0").document["results"]["evaluate"]["split"] == "validation"
    assert "no test split: reading validation" in capsys.readouterr().out


def test_training_data_is_read_only_on_request(use):
    with pytest.raises(DataError, match="no test or validation split; add split=train"):
        use("evaluate", "data.test_split=0", "data.validation_split=0")


def test_damaged_model_file_is_named(use, final):
    (final / "model.keras").write_bytes(b"no model")
    with pytest.raises(RunnerError, match=f"{final}/model.keras cannot be loaded as a Keras model: "):
        use("evaluate", of=final)


def test_run_that_is_gone_leaves_no_folder(trained, tmp_path):
    config = compose(["mode=evaluate", f"from_run={trained.path}"])
    gone = config.model_copy(update={"from_run": tmp_path / "gone"})
    with pytest.raises(ConfigurationError, match=r"gone, which has no config\.yaml"):
        run(gone, folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_interrupted_run_is_used_with_a_note(use, final, capsys):
    document = read_document(final)
    (final / "run.json").write_text(json.dumps(document | {"status": "interrupted"}))
    use("evaluate", of=final)
    assert "note: the run of this model did not complete (status interrupted)" in capsys.readouterr().out


def test_reconstruction_is_evaluated_and_predicted(tmp_path, use, digits_root, traced):
    (tmp_path / "trained").mkdir()
    config = compose([f"data.root={digits_root}", *QUICK, "data.class_mode=input", "data.limit=160"])
    record = run(config, folder=tmp_path / "trained")
    before = record.document["results"]["evaluate"]
    assert np.mean([float(row["mean_squared_error"]) for row in rows(record)]) == pytest.approx(before["loss"], 1e-3)
    (tmp_path / "trained/checkpoints/best.keras").unlink()
    found = use("evaluate", of=tmp_path / "trained").document["results"]["evaluate"]
    assert found["loss"] == pytest.approx(before["loss"])
    everything = ["data.class_mode=null", "data.limit=null"]
    assert len(rows(use("predict", *everything, of=tmp_path / "trained"))) == 1797
