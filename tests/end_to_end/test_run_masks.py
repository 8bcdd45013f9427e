"""Whole runs over masks: predicted masks, scores, class weights, resume, verify, and the model used again."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from runner import compose
from runner.errors import DataError
from runner.modes.run import run
from runner.records.compare import Pair
from runner.records.run_folder import RunFolder
from tests.support.masks import discs, write_discs
from tests.support.run_files import read_document, read_rows

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")

UNET = ["model=unet", "model.depth=1", "model.filters=4", "loader.batch_size=8", "loader.workers=2", "train.epochs=2"]
UNET += ["train.learning_rate=0.05", "train.class_weight=balanced"]
UNET += ["train.optimizer={name: sgd, momentum: 0.9}"]  # Adam takes half of the time of a step that is not traced


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("discs"), 40)


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    """A run over discs, which stops after its first epoch and is resumed for the second."""
    folder = tmp_path_factory.mktemp("trained")
    run(compose([*discs(root), *UNET, "data.test_split=0.3", "train.epochs=1"]), folder=folder)
    before = (folder / "predictions.csv").read_bytes()
    run(compose([f"resume={folder}", "train.epochs=2"]))
    assert (folder / "predictions.csv").read_bytes() != before
    return folder


def stored(file):
    with Image.open(file) as image:
        return np.asarray(image)


def overlap(folder, root):
    """IoU of ground and disc, from the files of a run and the masks on disk."""
    pairs = [(stored(folder / row["predicted"]), stored(root / "masks" / row["id"])) for row in rows_of(folder)]
    predicted, truth = (np.stack(masks) for masks in zip(*pairs, strict=True))
    return [((predicted == v) & (truth == v)).sum() / ((predicted == v) | (truth == v)).sum() for v in (0, 255)]


def rows_of(folder):
    return read_rows(folder / "predictions.csv")


def test_predicted_masks_have_the_scores_recorded(trained, root):
    results = read_document(trained)["results"]["evaluate"]
    expected = overlap(trained, root)
    assert [results["classes"][name]["iou"] for name in ("ground", "disc")] == pytest.approx(expected)
    assert results["mean_iou"] == pytest.approx(np.mean(expected))
    assert results["dice"] == pytest.approx(np.mean([2 * iou / (1 + iou) for iou in expected]))


def test_masks_lie_where_predictions_say(trained):
    rows, files = rows_of(trained), {str(path.relative_to(trained)) for path in trained.glob("predictions/*/*")}
    assert {row["predicted"] for row in rows} == files
    assert rows[0]["predicted"] == f"predictions/{rows[0]['id']}"
    assert not list(trained.glob(".tmp-*"))


def test_metrics_have_the_overlap_of_each_epoch(trained):
    metrics = RunFolder(trained).metrics
    assert {"mean_iou", "val_mean_iou"} <= metrics[0].keys()
    assert metrics[1]["loss"] < metrics[0]["loss"]
    assert read_document(trained)["goals"] == {"loss": "min", "mean_iou": "max"}


def test_evaluation_of_the_model_scores_alike(trained, tmp_path):
    run(compose(["mode=evaluate", f"from_run={trained}", "split=test"]), folder=tmp_path)
    best, last = (read_document(folder)["results"]["evaluate"] for folder in (tmp_path, trained))
    assert best.keys() - last.keys() == {"model"}
    assert best["classes"].keys() == {"ground", "disc"}
    assert not (tmp_path / "predictions").exists()


def test_predicted_masks_are_masks_of_another_run(trained, root, tmp_path):
    """Also on images without masks: the predictions of one run are what another one is trained on."""
    predicted, checked = tmp_path / "predicted", tmp_path / "checked"
    for folder in (predicted, checked):
        folder.mkdir()
    more = ["data.class_mode=null", "data.masks=null", "loader=in_memory"]
    run(compose(["mode=predict", f"from_run={trained}", *more]), folder=predicted)
    assert len(rows_of(predicted)) == 40
    assert "mean_iou" not in rows_of(predicted)[0]
    run(compose(["mode=check", *discs(root), f"data.masks={predicted}/predictions"]), folder=checked)
    pixels = json.loads((checked / "check.json").read_text())["pixels"]["mask"]
    assert sum(pixels["disc"].values()) == sum(int(row["predicted_disc"]) for row in rows_of(predicted))


def test_enlarged_masks_are_masks_of_their_images(trained, tmp_path):
    """The check refuses masks of another size than their images; what was cut off is the first class."""
    root = write_discs(tmp_path / "large", 8, size=(30, 40))
    predicted, checked = tmp_path / "predicted", tmp_path / "checked"
    for folder in (predicted, checked):
        folder.mkdir()
    more = ["data.class_mode=null", "data.masks=null", f"data.root={root}/images", "data.keep_aspect_ratio=true"]
    more += ["predict.original_size=true", "loader=in_memory"]
    run(compose(["mode=predict", f"from_run={trained}", *more]), folder=predicted)
    rows = rows_of(predicted)
    assert read_document(predicted)["results"]["predict"]["original_size"]
    assert {(row["height"], row["width"]) for row in rows} == {("30", "40")}
    for row in rows:
        mask = stored(predicted / row["predicted"])
        assert not mask[:, :7].any() and not mask[:, 32:].any()  # 25 of 40 columns have the aspect ratio of 12×10
        assert mask.any() == (int(row["predicted_disc"]) > 0)
    run(compose(["mode=check", *discs(root), f"data.masks={predicted}/predictions"]), folder=checked)


def test_only_masks_are_enlarged(root, tmp_path):
    with pytest.raises(DataError, match="this one predicts none; set predict.original_size=false"):
        run(compose(["data=directory", f"data.root={root}/images", "predict.original_size=true"]), folder=tmp_path)


def differences_of(first, now, config=None):
    """What the comparison of two runs says of predictions and masks."""
    compared = Pair(first, now, config or now.config, {}).comparisons()
    return [text for one in compared if one.name in ("predictions", "masks") for text in one.differences]


def test_rerun_compares_predicted_masks(trained, tmp_path):
    more = ["loader=in_memory", "loader.batch_size=8", "predict.original_size=true"]
    run(compose([f"rerun={trained}", "verify=true", *more]), folder=tmp_path)
    verified = read_document(tmp_path)["verified"]
    assert verified["identical"]
    assert {"masks", "9 predictions"} <= {*verified["compared"]}
    document = read_document(trained)
    document["digests"]["masks"] = "0" * 64
    changed = RunFolder(tmp_path / "changed")
    changed.path.mkdir()
    (changed.path / "run.json").write_text(json.dumps(document))
    shutil.copy(trained / "config.yaml", changed.path)
    assert differences_of(changed, RunFolder(tmp_path))[0].startswith("predicted masks differ (000000000000 became ")


def test_size_of_enlarged_masks_is_no_difference(trained, tmp_path):
    table, document = (trained / "predictions.csv").read_text(), read_document(trained)
    shutil.copy(trained / "config.yaml", tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(document))
    (tmp_path / "predictions.csv").write_text(table.replace(".png,12,10,", ".png,24,20,"))
    first, now = RunFolder(tmp_path), RunFolder(trained)
    assert "height of " in differences_of(first, now, now.final_config)[0]
    document["results"]["predict"]["original_size"] = True
    (tmp_path / "run.json").write_text(json.dumps(document))
    assert differences_of(RunFolder(tmp_path), now, now.final_config) == []
