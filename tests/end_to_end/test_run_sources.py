"""Whole runs on npy volumes and on tables of images: what they learn, and that every loader gives the same."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from runner import build_loader, compose
from runner.modes.run import run

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

LOADERS = ["in_memory", "generator", "sequence", "directory_flow"]
QUICK = ["train.epochs=1", "model=mlp", "model.hidden_units=[16]", "loader.batch_size=32", "loader.workers=2"]
COLOURS = ["black", "dark", "grey", "light", "white"]
NUM_IMAGES = 150


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Sixty volumes of three classes, each bright in a part of its own, with their partition and labels."""
    root, rng = tmp_path_factory.mktemp("volumes"), np.random.default_rng(0)
    (root / "data" / "deep").mkdir(parents=True)
    labels = {f"deep/id-{number}": number % 3 for number in range(60)}
    for name, label in labels.items():
        volume = rng.normal(0, 1, (16, 16, 16, 1)).astype(np.float32)
        volume[5 * label : 5 * label + 5] += 2
        np.save(root / "data" / f"{name}.npy", volume)
    ids = list(labels)
    (root / "partition.json").write_text(json.dumps({"train": ids[:36], "val": ids[36:48], "test": ids[48:]}))
    (root / "labels.json").write_text(json.dumps(labels))
    files = [f"data.partition={root}/partition.json", f"data.labels={root}/labels.json"]
    return ["data=npy", f"data.root={root}/data", *files]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images of five shades, and a table with all that can be said of them."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    with (root / "photos.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "bi", "multi", "tags", "brightness", "x", "weight", "part", "sample"])
        for number in range(NUM_IMAGES):
            shade = number % 5
            pixels = (50 * shade + rng.integers(0, 40, (6, 6))).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"{number}.png")
            tags = "|".join(name for name, has in (("dark", shade < 2), ("odd", shade % 2), ("any", True)) if has)
            part = ("train", "train", "train", "val", "test")[number // 5 % 5]
            row = [shade > 2, COLOURS[shade], tags, pixels.mean() / 255, shade, 0.5 + number % 3, part, shade]
            table.writerow([f"{number}.png", *map(str, row)])
    keys = ["data.target_size=[6,6]", "data.color_mode=grayscale", "data.split_column=part"]
    return ["data=dataframe", f"data.manifest={root}/photos.csv", *keys]


@pytest.fixture
def ran(tmp_path):
    """Makes a run in a folder of its own; its document and its predictions."""

    def start(*overrides):
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        document = run(compose([*QUICK, *overrides]), folder=folder).document
        with (folder / "predictions.csv").open(newline="") as lines:
            return document, list(csv.DictReader(lines))

    return start


def parts(y):
    return sorted(y.items()) if isinstance(y, dict) else [] if y is None else [("", y)]


def batch_digest(loader):
    """A digest of all that two epochs of batches hold."""
    digest = hashlib.sha256()
    for epoch in (0, 1):
        for batch in loader.epoch(epoch):
            digest.update(repr((batch.ids, batch.x.shape, batch.x.dtype)).encode() + batch.x.tobytes())
            for name, target in parts(batch.y):
                digest.update(repr((name, target.shape, target.dtype)).encode() + target.tobytes())
            digest.update(b"" if batch.sample_weight is None else batch.sample_weight.tobytes())
    return digest.hexdigest()


def digests_by_loader(*overrides):
    choices = [[f"loader={kind}"] for kind in LOADERS] + [
        ["loader=sequence", "loader.use_multiprocessing=true", "loader.workers=1"]
    ]
    found = set()
    for choice in choices:
        with build_loader(compose([*QUICK, *overrides, *choice])) as loader:
            found.add(batch_digest(loader))
    return found


def agreement(table, head=""):
    return np.mean([row[f"{head}label"] == row[f"{head}predicted"] for row in table])


@pytest.mark.parametrize("mode", ["sparse", "input", "null"])
def test_every_loader_gives_same_volumes(volumes, mode):
    assert len(digests_by_loader(*volumes, f"data.class_mode={mode}")) == 1


BOTH = "data.class_mode={bi: binary, multi: categorical, tags: multi_label, brightness: raw}"


@pytest.mark.parametrize("mode", [[BOTH, "data.weight_column=weight"], ["data.class_mode=input"]])
def test_every_loader_gives_same_table_batches(photos, mode):
    assert len(digests_by_loader(*photos, *mode)) == 1


def test_directory_flow_hands_weights_over(photos):
    keys = ["data.label_columns=[bi]", "data.class_mode=binary", "data.weight_column=weight", "loader=directory_flow"]
    with build_loader(compose([*QUICK, *photos, *keys])) as flow:
        x, y, weights = next(flow)
        assert len(x) == len(y) == len(weights) == len(flow[1][2])


def test_volumes_are_learnt(volumes, ran, traced):
    document, table = ran(*volumes, "data.class_mode=sparse", "train.epochs=20", "loader.batch_size=16")
    assert document["data"]["samples"] == {"train": 36, "validation": 12, "test": 12}
    assert tuple(document["data"]["shape"]) == (16, 16, 16, 1)
    assert agreement(table) == pytest.approx(document["results"]["evaluate"]["accuracy"], abs=1e-6)
    assert agreement(table) > 0.9


@pytest.mark.parametrize(("column", "mode"), [("bi", "binary"), ("multi", "sparse"), ("multi", "categorical")])
def test_one_column_of_the_table_is_learnt(photos, ran, column, mode):
    document, table = ran(*photos, f"data.label_columns=[{column}]", f"data.class_mode={mode}")
    assert document["data"]["samples"] == {"train": 90, "validation": 30, "test": 30}
    assert list(table[0])[:3] == ["id", "label", "predicted"]
    assert agreement(table) == pytest.approx(document["results"]["evaluate"]["accuracy"], abs=1e-6)


def test_two_columns_become_two_named_outputs(photos, ran, traced):
    longer = ["train.epochs=20", "train.learning_rate=0.01", "loader.batch_size=16"]
    document, table = ran(*photos, "data.class_mode={bi: binary, multi: sparse}", *longer)
    assert list(table[0]) == [
        "id", "bi_label", "bi_predicted", "bi_False", "bi_True", "multi_label", "multi_predicted",
        *(f"multi_{name}" for name in sorted(COLOURS)),
    ]  # fmt: skip
    results = document["results"]["evaluate"]
    for head in ("bi", "multi"):
        assert agreement(table, f"{head}_") == pytest.approx(results[f"{head}_accuracy"], abs=1e-6)
    assert agreement(table, "bi_") > 0.9


def test_weights_count_in_every_outputs_loss(photos, ran):
    document, table = ran(*photos, "data.class_mode={bi: binary, brightness: raw}", "data.weight_column=weight")
    weights = np.array([0.5 + int(row["id"].removesuffix(".png")) % 3 for row in table])
    error = np.array([float(row["brightness_label"]) - float(row["brightness_predicted"]) for row in table])
    results = document["results"]["evaluate"]
    probability = np.array([float(row[f"bi_{row['bi_label']}"]) for row in table])
    assert np.mean(weights * (error**2 - np.log(probability))) == pytest.approx(results["loss"], rel=1e-4)
    assert np.mean(np.abs(error)) == pytest.approx(results["brightness_mean_absolute_error"], rel=1e-4)


def test_regression_reports_numbers(photos, ran):
    document, table = ran(*photos, "data.label_columns=[brightness]", "data.class_mode=raw")
    assert list(table[0]) == ["id", "label", "predicted"]
    error = np.mean([abs(float(row["label"]) - float(row["predicted"])) for row in table])
    assert error == pytest.approx(document["results"]["evaluate"]["mean_absolute_error"], rel=1e-4)


@pytest.mark.parametrize("mode", ["raw", "multi_output"])
def test_numbers_form_one_or_several_outputs(photos, ran, mode):
    document, table = ran(*photos, "data.label_columns=[brightness,x]", f"data.class_mode={mode}")
    together = ["label_brightness", "label_x", "predicted_brightness", "predicted_x"]
    apart = ["brightness_label", "brightness_predicted", "x_label", "x_predicted"]
    assert list(table[0])[1:] == (together if mode == "raw" else apart)
    assert np.isfinite(document["results"]["evaluate"]["loss"])


def test_multi_label_reports_class_probabilities(photos, ran):
    document, table = ran(*photos, "data.label_columns=[tags]", "data.class_mode=multi_label")
    names = ["any", "dark", "odd"]
    assert list(table[0])[3:] == [*(f"predicted_{name}" for name in names), *names]
    right = [(name in row["label"].split("|")) == (row[f"predicted_{name}"] == "1") for row in table for name in names]
    assert np.mean(right) == pytest.approx(document["results"]["evaluate"]["binary_accuracy"], abs=1e-6)
    for row in table:
        assert row["predicted"] == "|".join(name for name in names if float(row[name]) > 0.5)


def test_output_may_be_called_like_a_layer(photos, ran):
    document, _ = ran(
        *photos,
        "data.class_mode={sample: raw, bi: binary}",
        "train.monitor=val_bi_accuracy",
        "+train.early_stopping.patience=1",
    )
    assert "sample_mean_absolute_error" in document["results"]["evaluate"]


def test_missing_image_ends_the_run_by_its_path(photos, tmp_path, ran):
    from runner.errors import BadSampleError

    shutil.copytree(photos[1].partition("=")[2].rpartition("/")[0], tmp_path / "copy")
    (tmp_path / "copy" / "7.png").unlink()
    with pytest.raises(BadSampleError, match=r"copy/7.png: no such file"):
        ran(*photos, f"data.manifest={tmp_path}/copy/photos.csv", "data.label_columns=[multi]")
