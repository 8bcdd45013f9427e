"""Whole runs on batches that code of the user's own makes: a tutorial's generator as it is, a generator, tf.data."""

import json
import shutil
import sys

import numpy as np
import pytest

from runner import compose
from runner.errors import ConfigurationError, DataError
from runner.modes.run import run
from tests.support.run_files import read_rows

pytestmark = pytest.mark.usefixtures("empty_pages")

TUTORIAL = """
import numpy as np
import keras

class DataGenerator(keras.utils.Sequence):
    'Generates data for Keras'
    ended = []

    def __init__(self, list_IDs, labels, batch_size=32, dim=(32,32,32), n_channels=1,
                 n_classes=10, shuffle=True):
        'Initialization'
        self.dim = dim
        self.batch_size = batch_size
        self.labels = labels
        self.list_IDs = list_IDs
        self.n_channels = n_channels
        self.n_classes = n_classes
        self.shuffle = shuffle
        self.on_epoch_end()

    def __len__(self):
        'Denotes the number of batches per epoch'
        return int(np.floor(len(self.list_IDs) / self.batch_size))

    def __getitem__(self, index):
        'Generate one batch of data'
        indexes = self.indexes[index*self.batch_size:(index+1)*self.batch_size]
        list_IDs_temp = [self.list_IDs[k] for k in indexes]
        X, y = self.__data_generation(list_IDs_temp)
        return X, y

    def on_epoch_end(self):
        'Updates indexes after each epoch'
        self.ended.append(len(self.list_IDs))
        self.indexes = np.arange(len(self.list_IDs))
        if self.shuffle == True:
            np.random.shuffle(self.indexes)

    def __data_generation(self, list_IDs_temp):
        'Generates data containing batch_size samples' # X : (n_samples, *dim, n_channels)
        X = np.empty((self.batch_size, *self.dim, self.n_channels))
        y = np.empty((self.batch_size), dtype=int)
        for i, ID in enumerate(list_IDs_temp):
            X[i,] = np.load('data/' + ID + '.npy')
            y[i] = self.labels[ID]
        return X, keras.utils.to_categorical(y, num_classes=self.n_classes)


class OfKeras(DataGenerator):
    def __init__(self, list_IDs, labels, dim, batch_size, n_classes, **kwargs):
        keras.utils.Sequence.__init__(self, **kwargs)
        super().__init__(list_IDs, labels, batch_size, dim, n_classes=n_classes)


class Broken(DataGenerator):
    def __getitem__(self, index):
        return np.load(f"data/no-{index}.npy"), None


def generate(ids, labels):
    while True:
        for name in ids:
            yield np.load(f"data/{name}.npy")[None], np.array([labels[name]])


def dataset(ids, labels):
    import tensorflow as tf
    x = np.stack([np.load(f"data/{name}.npy") for name in ids])
    return tf.data.Dataset.from_tensor_slices((x, [labels[name] for name in ids])).batch(5)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Sixty small volumes of three classes, a partition, labels, and the user's module, in the present folder."""
    place, rng = tmp_path_factory.mktemp("batches"), np.random.default_rng(0)
    labels = {f"id-{number}": number % 3 for number in range(60)}
    (place / "data").mkdir()
    for name, label in labels.items():
        volume = rng.normal(0, 1, (6, 6, 6, 1)).astype(np.float32)
        volume[2 * label : 2 * label + 2] += 2
        np.save(place / "data" / f"{name}.npy", volume)
    ids = list(labels)
    (place / "partition.json").write_text(json.dumps({"train": ids[:40], "validation": ids[40:]}))
    (place / "labels.json").write_text(json.dumps(labels))
    (place / "own_batches.py").write_text(TUTORIAL)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        patched.setattr(sys, "path", list(sys.path))
        yield place


@pytest.fixture(autouse=True)
def module_as_new(place):
    """The user's module is imported by each test for itself."""
    yield
    sys.modules.pop("own_batches", None)


@pytest.fixture(scope="module")
def trained(place, empty_pages):
    """A run on the tutorial's generator."""
    record = run(compose([*GENERATOR, "loader.classes=[a,b,c]"]))
    sys.modules.pop("own_batches")
    return record


def batches(target, argument="ids", *more):
    return [
        "extensions=[own_batches]", "data=none", "loader=custom", f"loader.target=own_batches.{target}",
        "loader.arguments.labels=${json:labels.json}",
        f"loader.train_arguments.{argument}=${{json:partition.json,train}}",
        f"loader.validation_arguments.{argument}=${{json:partition.json,validation}}",
        "model=mlp", "model.hidden_units=[16]", "train.epochs=2", *more,
    ]  # fmt: skip


GENERATOR = batches(
    "DataGenerator", "list_IDs", "loader.arguments.dim=[6,6,6]", "loader.arguments.batch_size=4",
    "loader.arguments.n_classes=3",
)  # fmt: skip


def table(record):
    return read_rows(record.path / "predictions.csv")


def agreement(rows, head=""):
    return np.mean([row[f"{head}label"] == row[f"{head}predicted"] for row in rows])


def test_generator_of_the_tutorial_runs_as_it_is(place, capsys, drawn):
    record = run(compose([*GENERATOR, "train.epochs=5", "loader.validation_arguments.shuffle=false"]))
    document, rows = record.document, table(record)
    assert document["results"]["fit"]["samples_seen"] == 5 * 40
    assert agreement(rows) == pytest.approx(document["results"]["evaluate"]["accuracy"], abs=1e-6)
    assert agreement(rows) > 0.8
    assert [row["id"] for row in rows] == [str(number) for number in range(20)]
    assert [row["label"] for row in rows] == [str(number % 3) for number in range(40, 60)]
    # Once by the constructor; then once a pass: five of training; of validation five, one to evaluate, one to predict.
    ended = sys.modules["own_batches"].DataGenerator.ended
    assert (ended.count(40), ended.count(20)) == (1 + 5, 1 + 7)
    told = " ".join(capsys.readouterr().out.split())
    notes = document["data"]["notes"]
    assert notes == [
        "own_batches.DataGenerator makes the batches; other loaders or worker counts may give other batches",
        "exact resume is impossible: own_batches.DataGenerator would restart at its first batch; resume_inexact=true "
        "allows it",
        "own_batches.DataGenerator has no ids; a sample's id is its position in a pass",
    ]
    assert all(f"note: {note}" in told for note in notes)
    assert "batches per pass: train 10 validation 5; the first has 4 samples" in told
    assert document["data"]["steps"] == {"train": 10, "validation": 5}
    assert document["digests"]["ids"] is None
    assert "own_batches.DataGenerator" in (record.path / "report.html").read_text()


def test_short_epochs_continue_through_the_pass():
    document = run(compose([*GENERATOR, "train.steps_per_epoch=3", "train.epochs=7", "mode=fit"])).document
    assert document["results"]["fit"]["samples_seen"] == 7 * 3 * 4
    assert sys.modules["own_batches"].DataGenerator.ended.count(40) == 1 + 2


def test_seed_covers_numpy_in_user_classes(trained):
    records = [trained, *(run(compose([*GENERATOR, f"seed={seed}", "mode=fit"])) for seed in (0, 2))]
    digests = [record.document["digests"]["weights"] for record in records]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("target", "more"),
    [("generate", ["loader.train_steps=40", "loader.validation_steps=20"]), ("dataset", [])],
)
def test_functions_that_give_batches_run(target, more):
    record = run(compose(batches(target, "ids", "loader.classes=[a,b,c]", "train.epochs=5", *more)))
    rows = table(record)
    assert [row["label"] for row in rows] == ["abc"[number % 3] for number in range(40, 60)]
    assert agreement(rows) == pytest.approx(record.document["results"]["evaluate"]["accuracy"], abs=1e-6)
    assert agreement(rows) > 0.8


def test_class_weights_reach_custom_batches(trained):
    keys = [*GENERATOR, "mode=fit", "loader.classes=[a,b,c]", "train.class_weight={a: 5.0}"]
    assert run(compose(keys)).document["digests"]["weights"] != trained.document["digests"]["weights"]


def test_model_of_custom_batches_is_reused(trained):
    again = run(compose(["mode=evaluate", f"from_run={trained.path}", "extensions=[own_batches]"]))
    (results,) = again.document["results"].values()
    assert results["split"] == "validation"
    assert again.document["status"] == "completed"
    rows = table(run(compose(["mode=predict", f"from_run={trained.path}", "extensions=[own_batches]", "split=train"])))
    assert len(rows) == 40


def test_keras_worker_processes_are_not_started(capsys):
    more = ["loader.target=own_batches.OfKeras", "loader.arguments.workers=3", "loader.workers=2"]
    record = run(compose([*GENERATOR, *more, "loader.arguments.use_multiprocessing=true", "mode=fit"]))
    assert record.document["results"]["fit"]["samples_seen"] == 80
    told = "arguments without effect: workers, use_multiprocessing, because Keras does not read these batches"
    assert told in " ".join(capsys.readouterr().out.split())


def test_inexact_resume_must_be_requested(trained, tmp_path):
    folder = shutil.copytree(trained.path, tmp_path / "resumed")
    keys = [f"resume={folder}", "extensions=[own_batches]", "train.epochs=3"]
    with pytest.raises(ConfigurationError) as refused:
        run(compose(keys))
    assert refused.value.problems[0] == (
        "exact resume is impossible: own_batches.DataGenerator would restart at its first batch"
    )
    record = run(compose([*keys, "resume_inexact=true"]))
    assert record.document["results"]["fit"]["samples_seen"] == 120
    assert len((record.path / "metrics.csv").read_text().splitlines()) == 4


def test_split_without_arguments_suggests_a_fix(trained):
    keys = [f"from_run={trained.path}", "mode=predict", "extensions=[own_batches]", "split=test"]
    with pytest.raises(ConfigurationError, match=r"loader\.test_arguments must be given to read test, got null"):
        run(compose(keys))
    told = run(compose([*keys, "loader.test_arguments.list_IDs=[id-3,id-4,id-5,id-6]"])).document
    assert (told["results"]["predict"]["split"], told["data"]["steps"]) == ("test", {"test": 1})


def test_user_code_error_names_batch_and_line(place):
    with pytest.raises(DataError) as failed:
        run(compose([*GENERATOR, "loader.target=own_batches.Broken", "mode=fit"]))
    line = 1 + TUTORIAL.splitlines().index('        return np.load(f"data/no-{index}.npy"), None')
    assert str(failed.value).startswith("own_batches.Broken, train, pass 1, batch 0: FileNotFoundError: ")
    assert str(failed.value).endswith(f"data/no-0.npy' ({place / 'own_batches.py'}, line {line})")


def test_package_that_the_function_needs_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    loader = compose(batches("dataset")).loader
    told = r"loader\.target=own_batches\.dataset failed for train: ModuleNotFoundError: .*tensorflow.* line \d+\)"
    with pytest.raises(ConfigurationError, match=told):
        loader.open()
