"""The check of data: what is wrong with it, sample by sample, and what it needs."""

import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from runner import compose
from runner.batch import ArraySpec
from runner.data.dataset import Dataset
from runner.data.labels import Head, Labels
from runner.data.source import Source
from runner.errors import DataError, StorageError, WorkerError
from runner.loaders.workers import in_threads
from runner.modes.figures import class_counts
from runner.modes.inspect_samples import examine
from runner.modes.run import run
from runner.place import Place
from tests.support.masks import discs, write_discs
from tests.support.packs import write_pack
from tests.support.photos import write_photos

KINDS = ("missing", "empty", "unreadable", "not_finite", "misnamed", "duplicate", "leaking")


@pytest.fixture
def photos(tmp_path):
    """Images of two classes in folders of splits, none like another."""
    root = tmp_path / "photos"
    write_photos(root, ("train/cat", "train/dog"), 12, size=(9, 11))
    return write_photos(root, ("test/cat", "test/dog"), 4, size=(9, 11), seed=1)


@pytest.fixture
def check(tmp_path):
    """Checks a configuration; returns check.json, and what was said to be wrong."""
    folder = tmp_path / "run"

    def start(*overrides):
        folder.mkdir()
        said = None
        try:
            run(compose(["mode=check", *overrides]), folder=folder)
        except DataError as error:
            said = str(error)
        return json.loads((folder / "check.json").read_text()), said

    start.folder = folder
    return start


def of(root, *overrides):
    return ("data=directory", f"data.root={root}", "data.target_size=[8,8]", "loader.workers=2", *overrides)


def ids(document, kind):
    return [[sample["id"] for sample in finding["samples"]] for finding in document["findings"][kind]]


def test_lost_storage_is_no_missing_sample(photos):
    source = compose(["mode=check", *of(photos)]).data.open().splits["train"]
    photos.rename(photos.with_name("unmounted"))
    with pytest.raises(StorageError, match=r"any more: .*\.png: no such file, and none of 20 samples tried"):
        examine(source, 0)


def test_run_from_python_keeps_its_overrides(check, photos):
    check(*of(photos))
    document = json.loads((check.folder / "run.json").read_text())
    assert (document["overrides"], document["argv"]) == (["mode=check", *of(photos)], [])


def test_good_data_has_no_findings(check, photos, capsys):
    document, said = check(*of(photos))
    assert said is None
    assert document["findings"] == {kind: [] for kind in KINDS}
    assert "findings  none: every sample can be read, and there are no duplicates" in capsys.readouterr().out


def test_samples_are_counted_by_class_and_split(check, photos):
    (photos / "test/dog/00.png").unlink()
    document, _ = check(*of(photos, "data.validation_split=0"))
    assert document["samples"] == {"train": 24, "test": 7}
    assert document["classes"]["label"]["dog"]["test"] == 3
    assert document["classes"]["label"]["cat"] == {"train": 12, "test": 4}


def test_first_batch_is_described(check, photos):
    document, _ = check(*of(photos, "loader.batch_size=5"))
    assert document["batch"]["x"]["shape"] == [5, 8, 8, 3]
    assert document["batch"]["x"]["dtype"] == "uint8"
    assert 0 <= document["batch"]["x"]["min"] < document["batch"]["x"]["max"] <= 255
    assert document["batch"]["y"]["label"] == {"shape": [5, 2], "dtype": "float32", "min": 0.0, "max": 1.0}


def test_check_lists_memory_of_every_strategy(check, photos):
    memory = check(*of(photos, "data.validation_split=0", "loader.batch_size=4", "loader.max_queue_size=3"))[0][
        "memory"
    ]
    sample = 8 * 8 * 3
    assert memory["available_bytes"] > 1e6
    assert memory["needed_bytes"]["sequence"] == memory["needed_bytes"]["directory_flow"] == 2 * 7 * 4 * sample
    assert memory["needed_bytes"]["generator"] == 2 * 4 * 4 * sample
    # Beside all samples, the training split while it is being filled, and the batches the model holds of the other.
    assert memory["needed_bytes"]["in_memory"] == (32 + 24 + 4 * 4) * sample


@pytest.mark.parametrize("loader", ["sequence", "generator", "in_memory"])
def test_bad_files_are_named_by_what_is_wrong(check, photos, loader):
    cats = photos / "test/cat"
    (cats / "00.png").write_bytes(b"")
    (cats / "01.png").write_bytes((cats / "01.png").read_bytes()[:60])
    (cats / "02.png").unlink()
    (cats / "02.png").symlink_to("nowhere")
    Image.fromarray(np.zeros((9, 11, 3), np.uint8)).save(cats / "03.png", format="JPEG")
    document, said = check(*of(photos, f"loader={loader}"))
    assert ids(document, "empty") == [["test/cat/00.png"]]
    assert ids(document, "unreadable") == [["test/cat/01.png"]]
    assert ids(document, "missing") == [["test/cat/02.png"]]
    assert ids(document, "misnamed") == [["test/cat/03.png"]]
    assert document["findings"]["misnamed"][0]["reason"] == "content is JPEG, name says .png"
    assert said == (
        "data check failed: 1 missing, 1 empty, 1 unreadable, 1 misnamed; "
        f"{check.folder}/check.json lists all; "
        "data.on_bad=skip trains without 3 unreadable samples, substitute replaces them"
    )


def test_values_that_are_no_numbers_are_named(check, tmp_path, capsys):
    x = np.random.default_rng(1).random((20, 5)).astype("f4")
    x[3, 2], x[7, :2] = np.nan, np.inf
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(20) % 2)
    document, said = check("data=arrays", f"data.path={tmp_path / 'a.npz'}")
    assert sorted(ids(document, "not_finite")) == [["train-3"], ["train-7"]]
    assert "not finite: 2" in capsys.readouterr().out
    assert said.endswith("data.on_bad=skip trains without 2 bad samples, substitute replaces them")


CLEANED = """
import numpy as np
def cleaned(array, rng): return np.nan_to_num(array)
def spoiled(array, rng): return array / (array.sum() - 25)
"""


def test_values_are_checked_after_the_transform(check, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "finite_cases.py").write_text(CLEANED)
    x = np.arange(20, dtype="f4").repeat(5).reshape(20, 5)
    np.savez("good.npz", x=x, y=np.arange(20) % 2)
    x[3, 2] = np.nan
    np.savez("bad.npz", x=x, y=np.arange(20) % 2)
    keys = ["extensions=[finite_cases]", "data=arrays", "data.validation_split=0"]
    _, said = check(*keys, "data.path=bad.npz", "data.transform=finite_cases.cleaned")
    assert said is None
    check.folder.rename(tmp_path / "first")
    with np.errstate(divide="ignore"):
        document, _ = check(*keys, "data.path=good.npz", "data.transform=finite_cases.spoiled", "loader.workers=0")
    assert ids(document, "not_finite") == [["train-5"]]
    assert document["findings"]["not_finite"][0]["reason"].endswith("beyond float32 once transformed")


def test_equal_files_of_one_split_are_duplicates(check, photos):
    shutil.copy(photos / "test/cat/00.png", photos / "test/dog/99.png")
    document, _ = check(*of(photos))
    assert ids(document, "duplicate") == [["test/cat/00.png", "test/dog/99.png"]]
    assert ids(document, "leaking") == []


def test_long_groups_of_duplicates_are_shortened(check, photos, capsys):
    for number in range(90, 97):
        shutil.copy(photos / "test/cat/00.png", photos / f"test/dog/{number}.png")
    document, _ = check(*of(photos))
    assert list(map(len, ids(document, "duplicate"))) == [8]
    assert " = test/dog/93.png (test) and 3 more\n" in capsys.readouterr().out


def test_equal_files_of_two_splits_leak(check, photos, capsys):
    shutil.copy(photos / "train/cat/00.png", photos / "test/cat/99.png")
    document, said = check(*of(photos, "data.validation_split=0"))
    assert ids(document, "leaking") == [["train/cat/00.png", "test/cat/99.png"]]
    assert ids(document, "duplicate") == []
    assert "1 leaking" in said
    assert "train/cat/00.png (train) = test/cat/99.png (test)" in capsys.readouterr().out


def test_files_of_one_size_are_not_equal_by_that(check, photos):
    for number in range(2):
        image = Image.fromarray(np.full((9, 11, 3), number, np.uint8))
        image.save(photos / f"test/cat/flat{number}.bmp")
    assert check(*of(photos))[1] is None


def test_arrays_are_compared_by_content(check, tmp_path):
    x = np.arange(40, dtype=np.float32).reshape(10, 4)
    x[7] = x[2]
    np.savez(tmp_path / "some.npz", x=x, y=np.arange(10) % 2)
    document, _ = check("data=arrays", f"data.path={tmp_path}/some.npz", "data.validation_split=0")
    assert ids(document, "duplicate") == [["train-2", "train-7"]]
    assert "directory_flow" not in document["memory"]["needed_bytes"]


def test_data_without_labels_is_checked_too(check, photos):
    document, said = check(*of(photos, "data.class_mode=null"))
    assert document["classes"] == document["batch"]["y"] == {}
    assert said is None


def test_batch_that_cannot_be_read_is_said(check, photos, capsys):
    for file in photos.glob("train/*/*.png"):
        file.write_bytes(b"torn")
    document, _ = check(*of(photos, "data.validation_split=0"))
    assert "train/cat/00.png: " in document["batch"]["error"]
    assert len(document["findings"]["unreadable"]) == 24
    printed = capsys.readouterr().out
    assert "batch     the first batch cannot be read: " in printed
    assert "and 14 more in check.json" in printed


def test_record_completes_despite_findings(check, photos):
    (photos / "test/cat/00.png").write_bytes(b"")
    check(*of(photos))
    document = json.loads((check.folder / "run.json").read_text())
    assert document["status"] == "completed"
    assert document["results"]["check"] == {kind: int(kind == "empty") for kind in KINDS}
    left = {file.name for file in check.folder.iterdir()} - {"code.patch"}  # of code that is not that of its commit
    assert left == {"config.yaml", "run.json", "run.log", "check.json", "summary.json"}


def test_findings_exit_with_4_without_keras(photos, tmp_path):
    (photos / "test/cat/00.png").write_bytes(b"")
    code = "import sys; import runner.__main__ as m; print(m.execute(sys.argv[1:]), *sys.modules)"
    command = [sys.executable, "-c", code, "mode=check", *of(photos)]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True)
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "4", done.stderr
    assert not {"keras", "tensorflow", "jax", "torch"} & set(modules)
    assert done.stderr.startswith("error: data check failed: 1 empty; outputs/runs/")


def test_folder_without_images_is_refused_as_ever(check, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no images in class folders"):
        run(compose(["mode=check", *of(tmp_path / "none")]), folder=tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_keep_the_order(workers):
    found = in_threads(lambda number: number * number, range(100), workers=workers, timeout_seconds=9)
    assert list(found) == [number * number for number in range(100)]


def test_threads_take_few_items_ahead():
    taken = []
    results = in_threads(abs, (taken.append(n) or n for n in range(1000)), workers=2, timeout_seconds=9)
    assert next(results) == 0
    assert len(taken) <= 9
    results.close()


def test_hanging_thread_is_reported():
    with pytest.raises(WorkerError, match=r"read no sample within loader\.timeout_seconds=0\.05"):
        list(in_threads(time.sleep, [0.5], workers=1, timeout_seconds=0.05))


class Tagged(Source):
    """Three samples with several classes each."""

    ids, spec = ("a", "b", "c"), ArraySpec((2,), np.dtype(np.float32))
    labels = Labels((Head("", "sparse", ("x", "y")),), (np.array([[1, 1], [0, 1], [0, 0]]),))

    def read(self, index, out=None):
        raise NotImplementedError


def test_multi_label_classes_are_counted():
    dataset = Dataset({"train": Tagged()}, Tagged.labels.heads, Tagged.spec)
    assert class_counts(dataset) == {"label": {"x": {"train": 1}, "y": {"train": 2}}}


def test_pixels_of_masks_are_counted(check, tmp_path):
    root = write_discs(tmp_path / "discs", 8)
    (root / "masks" / "b" / "01.png").unlink()
    (root / "masks" / "b" / "03.png").write_bytes(b"")
    mask = np.asarray(Image.open(root / "masks" / "a" / "00.png")).copy()
    mask[0, :3] = 9
    Image.fromarray(mask).save(root / "masks" / "a" / "00.png")
    shutil.copy(root / "images" / "a" / "02.png", root / "images" / "a" / "02_again.png")
    shutil.copy(root / "masks" / "a" / "02.png", root / "masks" / "a" / "02_again.png")
    shutil.copy(root / "images" / "a" / "04.png", root / "images" / "a" / "04_again.png")  # with another mask
    shutil.copy(root / "masks" / "a" / "06.png", root / "masks" / "a" / "04_again.png")
    document, said = check(*discs(root, "data.validation_split=0", "data.ignore_value=9"))
    names = ["a/00", "a/02", "a/02_again", "a/04", "a/04_again", "a/06", "b/05", "b/07"]
    masks = [np.asarray(Image.open(root / "masks" / f"{name}.png")) for name in names]
    counted = {
        name: {"train": sum(int((mask == value).sum()) for mask in masks)}
        for name, value in (("ground", 0), ("disc", 255), ("(ignored)", 9))
    }
    assert document["pixels"] == {"mask": counted}
    assert document["classes"] == {}
    assert document["notes"] == [f"1 image without a mask in {root}/masks"]
    assert ids(document, "missing") == [["b/01.png"]]
    assert ids(document, "empty") == [["b/03.png"]]
    assert document["findings"]["missing"][0]["reason"] == f"{root}/masks/b/01.png: no such file"
    assert ids(document, "duplicate") == [["a/02.png", "a/02_again.png"]]
    assert "1 missing, 1 empty, 1 duplicate" in said


def test_pack_is_checked_by_its_members(check, tmp_path, photos, monkeypatch):
    shutil.copy(photos / "train" / "cat" / "01.png", photos / "train" / "dog" / "02.png")
    Image.open(photos / "train" / "dog" / "03.png").save(photos / "train" / "dog" / "04.bmp")
    (photos / "train" / "dog" / "04.bmp").rename(photos / "train" / "dog" / "04.png")
    pack = write_pack(tmp_path, *of(photos, "data.validation_split=0"))
    (place,) = compose(["data=pack", f"data.root={pack}"]).data.open().splits["test"].places(0)
    with open(place.file, "r+b") as file:
        file.seek(place.offset)
        file.write(b"no image")
    reads, read = [], Place.read
    monkeypatch.setattr(Place, "read", lambda place: reads.append(place[:2]) or read(place))
    document, said = check("data=pack", f"data.root={pack}", "loader.workers=1")
    of_check = [*dict.fromkeys(reads[24:])]  # behind the first batch; each as it was fetched, and decoded
    assert of_check == sorted(of_check[:24]) + sorted(of_check[24:])
    assert ids(document, "duplicate") == [["train/cat/01.png", "train/dog/02.png"]]
    assert ids(document, "misnamed") == [["train/dog/04.png"]]
    assert ids(document, "unreadable") == [["test/cat/00.png"]]
    assert re.match("cannot .*; its bytes are not those", document["findings"]["unreadable"][0]["reason"])
    assert document["findings"]["misnamed"][0]["reason"] == "content is BMP, name says .png"
    assert said.startswith("data check failed: 1 unreadable, 1 misnamed, 1 duplicate; ")


def as_bmp(folder):
    """Store images without a checksum of their own, so that they decode whatever their pixels are."""
    for file in sorted(folder.rglob("*.png")):
        Image.open(file).save(file.with_suffix(".bmp"))
        file.unlink()


def flip(place):
    """Change the last byte of a member: a pixel from 0 to 255, or back."""
    with open(place.file, "r+b") as file:
        file.seek(place.offset + place.size - 1)
        file.write(bytes([place.read()[-1] ^ 255]))


def test_other_bytes_than_packed_are_reported(check, tmp_path):
    root = write_discs(tmp_path / "discs", 8, size=(16, 16))
    as_bmp(root)
    pack = write_pack(tmp_path, *discs(root, "data.validation_split=0.25"))
    train, validation = compose(["data=pack", f"data.root={pack}"]).data.open().splits.values()
    (flipped, _), (_, mask) = train.places(0), validation.places(0)
    flip(flipped)
    flip(mask)
    document, said = check("data=pack", f"data.root={pack}", "loader.workers=2")
    assert ids(document, "unreadable") == [[train.ids[0]], [validation.ids[0]]]
    other = "its bytes are not those that were packed (index.parquet has another XXH3)"
    assert [found["reason"] for found in document["findings"]["unreadable"]] == [other, f"{mask.name}: {other}"]
    assert said.startswith("data check failed: 2 unreadable; ")
