"""The contract of every source, whatever its samples are made of."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from runner.data.arrays import Arrays
from runner.data.custom import Custom
from runner.data.dataframe import DataFrame
from runner.data.digits import Digits
from runner.data.directory import Directory
from runner.data.mix import Mix
from runner.data.npy import Npy
from runner.data.pack import Pack
from runner.fields import arrays_of, spec_of
from runner.loaders.reader import allocate
from tests.support.masks import disc_image, discs, write_discs
from tests.support.packs import write_pack


@pytest.fixture
def opened(request, tmp_path, digits_root, monkeypatch):
    """A data set of each kind."""
    if request.param == "digits":
        return Digits(root=digits_root).open()
    if request.param.startswith("pack of "):
        return a_pack(request.param.removeprefix("pack of "), tmp_path, digits_root)
    if request.param == "masks":
        return images_with_masks(tmp_path)
    if request.param == "directory":
        return Directory(root=digits_root, target_size=(5, 7), class_mode="sparse").open()
    if request.param == "mix":
        return folders_and_a_table(digits_root, tmp_path / "more.csv")
    if request.param == "dataframe":
        return listed_in_a_table(digits_root, tmp_path / "digits.csv")
    if request.param == "custom":
        return a_class_of_the_users(tmp_path, monkeypatch)
    if request.param == "masks of arrays":
        return arrays_with_masks(tmp_path / "m.npz")
    x = np.random.default_rng(0).normal(size=(30, 2, 3))
    if request.param == "npy":
        return one_file_each(x, tmp_path)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(30) % 3, x_test=x[:4], y_test=[0, 1, 2, 0])
    return Arrays(path=tmp_path / "a.npz").open()


def a_pack(kind, folder, digits_root):
    """Files in large files: images, images with masks, or arrays."""
    keys = ["data=digits", f"data.root={digits_root}", "data.limit=20"]
    if kind == "masks":
        keys = discs(write_discs(folder, 12))
    elif kind == "arrays":
        np.savez(folder / "a.npz", x=np.random.default_rng(0).normal(size=(30, 2, 3)), y=np.arange(30) % 3)
        keys = ["data=arrays", f"data.path={folder / 'a.npz'}", "data.test_split=0.2", "pack.encode=npy"]
    return Pack(root=write_pack(folder, *keys)).open()


def images_with_masks(folder):
    """Image files and mask files, two arrays for each sample."""
    root = write_discs(folder, 12)
    keys = {"masks": root / "masks", "mask_values": {0: "ground", 255: "disc"}, "target_size": (8, 8)}
    return Directory(root=root / "images", class_mode="mask", test_split=0.2, **keys).open()


def arrays_with_masks(file):
    """Arrays in memory, whose workers load the file again."""
    x, y = (np.stack(arrays) for arrays in zip(*map(disc_image, range(12)), strict=True))
    np.savez(file, x=x, y=y, x_test=x[:4], y_test=y[:4])
    return Arrays(path=file, class_mode="mask", mask_values={0: "ground", 255: "disc"}).open()


def a_class_of_the_users(folder, monkeypatch):
    """A module that computes its samples, in float64."""
    monkeypatch.syspath_prepend(folder)
    (folder / "mine_contract.py").write_text(
        "import numpy as np\n"
        "class Numbers:\n"
        "    labels = ['low', 'high'] * 20\n"
        "    def __len__(self): return 40\n"
        "    def read(self, index): return np.full((2, 3), index / 7)\n"
    )
    return Custom(target="mine_contract.Numbers", test_split=0.2).open()


def listed_in_a_table(digits_root, manifest):
    """Some digits, with two targets and weights."""
    files = [file.relative_to(digits_root) for digit in "359" for file in sorted((digits_root / digit).iterdir())[:9]]
    rows = [f"{file.as_posix()},{file.parts[0]},{number}" for number, file in enumerate(files)]
    manifest.write_text("\n".join(["path,digit,number", *rows]))
    modes = {"digit": "sparse", "number": "raw"}
    return DataFrame(
        manifest=manifest, root=digits_root, class_mode=modes, weight_column="number", test_split=0.2
    ).open()


def folders_and_a_table(digits_root, manifest):
    """Digits in folders, and a few of them once more in a table."""
    files = [file.relative_to(digits_root) for file in sorted(digits_root.rglob("*.png"))[::40]]
    manifest.write_text("\n".join(["path,label", *(f"{file.as_posix()},{file.parts[0]}" for file in files)]))
    keys = {"target_size": (5, 7), "color_mode": "grayscale", "test_split": 0.2}
    folders = Directory(root=digits_root, limit=30, **keys)
    return Mix(parts={"folders": folders, "table": DataFrame(manifest=manifest, root=digits_root, **keys)}).open()


def one_file_each(arrays, folder):
    """Float64 arrays as files, in all three splits."""
    ids = [f"part/{number}" for number in range(len(arrays))]
    (folder / "part").mkdir()
    for name, array in zip(ids, arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
    partition, labels = folder / "partition.json", folder / "labels.json"
    partition.write_text(json.dumps({"train": ids[:20], "val": ids[20:26], "test": ids[26:]}))
    labels.write_text(json.dumps({name: number % 3 for number, name in enumerate(ids)}))
    return Npy(root=folder, partition=partition, labels=labels).open()


@pytest.fixture(params=["train", "test", "validation"])
def source(request, opened):
    if request.param not in opened.splits:
        pytest.skip("this data has no such split")
    return opened.splits[request.param]


every = pytest.mark.parametrize(
    "opened",
    [
        *("digits", "directory", "arrays", "npy", "dataframe", "custom", "masks", "masks of arrays", "mix"),
        *("pack of images", "pack of masks", "pack of arrays"),
    ],
    indirect=True,
)


def same(one, other):
    """Whether two samples hold the same values, in one array or in several."""
    pairs = zip(arrays_of(one), arrays_of(other), strict=True)
    return all(name == of_other and np.array_equal(array, values) for (name, array), (of_other, values) in pairs)


@every
def test_source_has_one_id_and_label_per_sample(source):
    assert len(source) == len(source.ids) > 0
    labels = source.labels
    assert labels.fields == ("mask",) or len(labels.columns[0]) == len(source)  # masks are no labels in memory


@every
def test_source_ids_are_unique_over_all_splits(opened):
    ids = [name for source in opened.splits.values() for name in source.ids]
    assert len(set(ids)) == len(ids)


@every
def test_read_many_equals_single_reads(source):
    indices = np.array([len(source) - 1, 0, len(source) // 2, 0])
    out = allocate(source.spec, 4)
    source.read_many(indices, out)
    assert all(same(out[row], source.read(index)) for row, index in enumerate(indices.tolist()))


@every
def test_source_reads_repeatably_and_into_out(source):
    out = source.spec.empty()
    for index in (0, len(source) - 1):
        first = source.read(index)
        assert spec_of(first) == source.spec
        assert source.read(index, out) is out
        assert same(first, out)


@every
def test_source_gives_arrays_of_ones_own(source):
    kept = source.read(0).copy()
    for _, array in arrays_of(source.read(0)):
        array[...] = 0
    assert same(source.read(0), kept)


@every
def test_source_survives_pickling(source):
    travelled = pickle.loads(pickle.dumps(source))
    assert list(travelled.ids) == list(source.ids)
    assert same(travelled.read(0), source.read(0))


@every
def test_source_reads_the_same_from_many_threads(source):
    indices = list(range(min(20, len(source)))) * 3
    with ThreadPoolExecutor(4) as pool:
        arrays = list(pool.map(source.read, indices))
    assert all(same(array, source.read(index)) for index, array in zip(indices, arrays, strict=True))


@every
def test_source_matches_its_stated_spec(source, opened):
    assert source.spec == opened.spec
    assert source.labels.heads == opened.heads
