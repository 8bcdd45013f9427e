"""Every kind of batch and mode on the other backends, where they are installed: one process for each of them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from runner import compose
from runner.modes.run import run
from tests.support.run_files import read_document, read_rows

QUICK = ["train.epochs=1", "loader.workers=2", "model.filters=[4]", "model.dense_units=8", "loader.batch_size=64"]
SMALL = ["train.epochs=1", "loader.workers=2", "loader.batch_size=8"]
SCRIPT = """
import json, sys
from pathlib import Path
import runner
for folder, overrides in json.load(sys.stdin).items():
    Path(folder).mkdir()
    runner.run(runner.compose([f"backend={sys.argv[1]}", *overrides]), folder=Path(folder))
"""
BATCHES = """
import keras
import numpy as np

class Batches(keras.utils.Sequence):
    def __init__(self, ids, labels, root):
        self.ids, self.labels, self.root = ids, labels, root
    def __len__(self):
        return len(self.ids) // 3
    def __getitem__(self, index):
        chosen = self.ids[3 * index : 3 * index + 3]
        x = np.stack([np.load(f"{self.root}/{name}.npy") for name in chosen])
        return x, np.eye(3)[[self.labels[name] for name in chosen]]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Volumes by id, and photos in class folders that a table lists with two labels, a number and weights."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (root / "volumes").mkdir()
    labels = {f"id-{number}": number % 3 for number in range(30)}
    for name in labels:
        np.save(root / "volumes" / f"{name}.npy", rng.normal(size=(8, 8, 8, 1)).astype(np.float32))
    ids = list(labels)
    (root / "partition.json").write_text(json.dumps({"train": ids[:18], "validation": ids[18:24], "test": ids[24:]}))
    (root / "labels.json").write_text(json.dumps(labels))
    rows = ["path,bi,multi,value,weight"]
    for number in range(40):
        path = root / "photos" / "abcde"[number % 5] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(path)
        rows.append(f"{path.relative_to(root)},{number % 2},{'abcde'[number % 5]},{number / 40},{1 + number % 3}")
    (root / "photos.csv").write_text("\n".join(rows))
    return root


@pytest.fixture(scope="module")
def trained(digits_root, tmp_path_factory):
    """A run over the digits on TensorFlow."""
    folder = tmp_path_factory.mktemp("tensorflow")
    return run(compose([f"data.root={digits_root}", "data.class_mode=sparse", *QUICK]), folder=folder)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_batch_and_mode_runs(backend, data, trained, digits_root, tmp_path):
    pytest.importorskip(backend)
    digits, npy = f"data.root={digits_root}", f"data.root={data}/volumes"
    npy_files = [f"data.partition={data}/partition.json", f"data.labels={data}/labels.json"]
    listed = ["data=dataframe", f"data.manifest={data}/photos.csv", "data.target_size=[6,6]", *SMALL]
    both = ["data.class_mode={bi: binary, multi: sparse}", "data.weight_column=weight", "data.test_split=0.2"]
    (tmp_path / "own_batches.py").write_text(BATCHES)
    custom = ["extensions=[own_batches]", "data=none", "loader=custom", "loader.target=own_batches.Batches"]
    custom += [f"loader.arguments={{root: {data}/volumes, labels: '${{json:{data}/labels.json}}'}}"]
    for split in ("train", "validation"):
        custom.append(f"loader.{split}_arguments.ids=${{json:{data}/partition.json,{split}}}")
    runs = {
        "sequence": [digits, *QUICK],
        "processes": [digits, *QUICK, "loader=directory_flow", "loader.use_multiprocessing=true"],
        "augmented": [digits, *QUICK, "data.augment.rotation=0.05", "train.precision=mixed_bfloat16"],
        "averaged": [digits, *QUICK, "train.optimizer={name: sgd, use_ema: true}", "train.class_weight=balanced"],
        "input": [digits, "data.class_mode=input", "model=mlp", *SMALL],
        "npy": ["data=npy", npy, *npy_files, "model=cnn3d", "model.filters=[4]", *SMALL],
        "both": [*listed, *both, "model=mlp"],
        "value": [*listed, "data.label_columns=[value]", "data.class_mode=raw", "model=mlp"],
        "batches": [*custom, "loader.workers=2", "train.steps_per_epoch=4", "train.epochs=2", "model=mlp"],
        "evaluated": ["mode=evaluate", f"from_run={trained.path}", "split=test"],
        "predicted": ["mode=predict", f"from_run={trained.path}", "split=test"],
        "longer": [digits, *QUICK, "train.epochs=2"],
        "default": [digits, "train.epochs=2", "loader=generator"],
    }
    command = [sys.executable, "-c", SCRIPT, backend]
    named = {str(tmp_path / name): overrides for name, overrides in runs.items()}
    subprocess.run(command, input=json.dumps(named), text=True, check=True, stdout=subprocess.DEVNULL, cwd=tmp_path)
    documents = {name: read_document(tmp_path / name) for name in runs}
    assert {document["status"] for document in documents.values()} == {"completed"}
    assert documents["sequence"]["digests"]["weights"] == documents["processes"]["digests"]["weights"]
    assert documents["batches"]["results"]["fit"]["samples_seen"] == 2 * 4 * 3
    of_both = documents["both"]["results"]["evaluate"].keys()
    assert of_both >= {"bi_accuracy", "multi_accuracy", "bi_loss", "multi_loss", "loss"}
    assert documents["default"]["results"]["evaluate"]["accuracy"] > 0.7
    assert np.isfinite(
        [document["results"]["evaluate"]["loss"] for name, document in documents.items() if name != "predicted"]
    ).all()
    accuracy = trained.document["results"]["evaluate"]["accuracy"]
    assert documents["evaluated"]["results"]["evaluate"]["accuracy"] == pytest.approx(accuracy, abs=2e-3)
    predicted = read_rows(tmp_path / "predicted" / "predictions.csv")
    assert [row["id"] for row in predicted] == [row["id"] for row in read_rows(trained.path / "predictions.csv")]
    resume = [f"backend={backend}", f"resume={tmp_path}/sequence", "train.epochs=2", "loader=in_memory"]
    code = "import sys, runner; runner.run(runner.compose(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, *resume], check=True, stdout=subprocess.DEVNULL, cwd=tmp_path)
    resumed = read_document(tmp_path / "sequence")
    assert resumed["digests"] == documents["longer"]["digests"]
