"""Every kind of batch and mode on the other backends, where they are installed; and resuming, also after a kill."""

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from runner import compose
from runner.modes.run import run
from tests.support.masks import discs, write_discs
from tests.support.run_files import outcome, read_document, read_rows

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

# Every split has whole batches: what JAX compiles for another number of rows takes as long as the rest of a run.
QUICK = ["train.epochs=1", "loader.workers=2", "loader.batch_size=8", "train.learning_rate=0.02", "data.limit=120"]
DENSE = [*QUICK, "model=mlp", "model.hidden_units=[32]"]
CNN = [*QUICK, "model.filters=[8]", "model.dense_units=32", "loader.batch_size=40"]
SMALL = ["train.epochs=1", "loader.batch_size=8", "model=mlp", "model.hidden_units=[8]"]
NOT_EVALUATED = ("masks", "masks_predicted")
SCRIPT = """
import gc, json, sys
from pathlib import Path
import runner
from tests.support.once import done_once
from tests.support.pages import without_pages
with without_pages(), done_once():
    for folder, overrides in json.loads(sys.argv[2]).items():
        Path(folder).mkdir(exist_ok=True)
        runner.run(runner.compose([f"backend={sys.argv[1]}", *overrides]), folder=Path(folder))
        gc.freeze()  # every run collects garbage, which takes 0.6 s with the modules of a backend
"""
BATCHES = """
import keras
import numpy as np

def with_mean(image, rng):
    return {"image": image, "mean": image.mean(axis=(0, 1))}

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
def trained(digits_root, empty_pages, eager, tmp_path_factory):
    """A run over some digits on TensorFlow."""
    folder = tmp_path_factory.mktemp("tensorflow")
    few = ["data.class_mode=sparse", "data.limit=320"]
    return run(compose([f"data.root={digits_root}", *DENSE, *few]), folder=folder)


def start(place, backend, runs, killed=None):
    """Do runs, of a folder and overrides, in a process of their own; kill it once the run `killed` has left a state."""
    command = [sys.executable, "-c", SCRIPT, backend, json.dumps(runs)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=place) as process:
        while killed and not list(killed.glob("checkpoints/state-*.npz")):
            assert process.poll() is None
            time.sleep(0.002)
        if killed:
            process.kill()
    assert process.returncode == (-signal.SIGKILL if killed else 0)


@pytest.fixture(scope="module", params=["jax", "torch"])
def backend(request):
    """A backend that is installed."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def folders(backend, data, trained, digits_root, tmp_path_factory):
    """A run of every kind by its name, done one after the other in one process, which is killed during the last.

    Another process resumes two of them: the one that was killed, and one that is to train for another epoch.
    """
    place = tmp_path_factory.mktemp(backend)
    digits, npy = f"data.root={digits_root}", f"data.root={data}/volumes"
    npy_files = [f"data.partition={data}/partition.json", f"data.labels={data}/labels.json"]
    masks = [*discs(write_discs(place / "discs", 12)), "model=unet", "model.depth=1", "model.filters=2"]
    masks += ["loader.batch_size=6", "mode=fit", "data.validation_split=0"]
    listed = ["data=dataframe", f"data.manifest={data}/photos.csv", "data.target_size=[6,6]", *SMALL]
    columns = [
        "data.class_mode={bi: binary, multi: sparse, value: raw}",
        "data.weight_column=weight",
        "data.test_split=0.2",
    ]
    (place / "own_batches.py").write_text(BATCHES)
    custom = ["extensions=[own_batches]", "data=none", "loader=custom", "loader.target=own_batches.Batches"]
    custom += [f"loader.arguments={{root: {data}/volumes, labels: '${{json:{data}/labels.json}}'}}"]
    for split in ("train", "validation"):
        custom.append(f"loader.{split}_arguments.ids=${{json:{data}/partition.json,{split}}}")
    own = ["train.optimizer={name: sgd, use_ema: true}", "train.class_weight=balanced"]
    runs = {
        "processes": [digits, *DENSE, "loader=directory_flow", "loader.workers=1", "loader.use_multiprocessing=true"],
        "changed": [digits, *CNN, *own, "data.augment.rotation=0.05", "train.precision=mixed_bfloat16"],
        "input": [digits, "data.class_mode=input", "data.limit=64", *SMALL],
        "inputs": [digits, "data.limit=64", *SMALL, "extensions=[own_batches]", "data.transform=own_batches.with_mean"],
        "masks": [*masks, "train.epochs=1"],
        "masks_predicted": ["mode=predict", f"from_run={place}/masks", "split=train"],
        "npy": ["data=npy", npy, *npy_files, "model=cnn3d", "model.filters=[4]", *SMALL[:1], "loader.batch_size=6"],
        "outputs": [*listed, *columns],
        "batches": [*custom, "loader.workers=2", "train.steps_per_epoch=4", "train.epochs=2", *SMALL[-2:]],
        "evaluated": ["mode=evaluate", f"from_run={trained.path}", "split=test"],
        "longer": [digits, *DENSE, "train.epochs=2"],
        "killed": [digits, *DENSE, "train.epochs=2", "train.checkpoint_every.steps=5"],
    }
    start(place, backend, {str(place / name): overrides for name, overrides in runs.items()}, killed=place / "killed")
    resumed = {"processes": ["train.epochs=2", "loader=in_memory"], "killed": ["loader=in_memory"]}
    start(place, backend, {str(place / name): [f"resume={place}/{name}", *more] for name, more in resumed.items()})
    return {name: place / name for name in runs}


@pytest.fixture(scope="module")
def documents(folders):
    """run.json of every run."""
    return {name: read_document(folder) for name, folder in folders.items()}


def evaluation(document):
    return document["results"]["evaluate"]


def test_every_batch_and_mode_runs(documents):
    assert {document["status"] for document in documents.values()} == {"completed"}
    assert documents["batches"]["results"]["fit"]["samples_seen"] == 2 * 4 * 3
    heads = {"bi_accuracy", "multi_accuracy", "value_mean_absolute_error", "bi_loss", "multi_loss", "value_loss"}
    assert evaluation(documents["outputs"]).keys() >= heads | {"loss"}
    assert np.isfinite([evaluation(documents[name])["loss"] for name in documents if name not in NOT_EVALUATED]).all()
    assert evaluation(documents["longer"])["accuracy"] > 0.7


def test_several_inputs_train_by_name(documents):
    fields = {name: field["shape"] for name, field in documents["inputs"]["data"]["fields"].items()}
    assert fields == {"image": [8, 8, 1], "mean": [1]}


def test_model_of_another_backend_is_reused(documents, trained):
    accuracy = evaluation(trained.document)["accuracy"]
    assert evaluation(documents["evaluated"])["accuracy"] == pytest.approx(accuracy, abs=2e-3)


def test_masks_are_predicted(folders):
    rows = read_rows(folders["masks_predicted"] / "predictions.csv")
    assert len(rows) == 12
    assert all((folders["masks_predicted"] / row["predicted"]).exists() for row in rows)


@pytest.mark.parametrize("name", ["processes", "killed"])
def test_resumed_run_ends_like_uninterrupted(folders, name):
    assert outcome(folders[name]) == outcome(folders["longer"])
