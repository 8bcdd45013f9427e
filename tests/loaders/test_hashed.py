"""Files are digested as they are read: once, whoever reads them, and with the bytes they hold."""

import numpy as np
import pytest
import xxhash
from PIL import Image

import runner
from runner.data.stored_samples import StoredSamples
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import open_loader
from runner.records.bad_samples import BadSamples, Notes
from runner.records.contents import Contents, read_contents

pytestmark = pytest.mark.usefixtures("forked_workers")


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            suffix = "jpg" if number % 2 else "png"
            pixels = random.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.{suffix}")
    return ["data=directory", f"data.root={tmp_path}/photos", "data.target_size=[8,8]"]


@pytest.fixture(params=[(np.float32, "C"), (np.float64, "F")], ids=str)
def volumes(tmp_path, request):
    """Files of one kind: some with a header of another version than the first."""
    random = np.random.default_rng(0)
    (tmp_path / "volumes").mkdir()
    for number in range(20):
        values = random.normal(size=(4, 5, 6)).astype(request.param[0], order=request.param[1])
        file = tmp_path / "volumes" / f"id-{number}.npy"
        with file.open("wb") as opened:
            np.lib.format.write_array(opened, values, version=(2, 0) if number % 3 == 1 else (1, 0))
    ids = [f"id-{number}" for number in range(20)]
    (tmp_path / "partition.json").write_text(f'{{"train": {ids[:12]}, "validation": {ids[12:]}}}'.replace("'", '"'))
    labels = ", ".join(f'"{name}": {number % 2}' for number, name in enumerate(ids))
    (tmp_path / "labels.json").write_text(f"{{{labels}}}")
    return ["data=npy", f"data.root={tmp_path}/volumes", f"data.partition={tmp_path}/partition.json",
            f"data.labels={tmp_path}/labels.json"]  # fmt: skip


def read_through(overrides, folder, splits=("train", "validation"), passes=1):
    """Read all splits; what is known, and the digests the files really have."""
    folder.mkdir(exist_ok=True)
    config = runner.compose(overrides)
    dataset = open_dataset(config)
    contents = Contents(folder, dataset.files)
    real = {}
    for split in splits:
        with open_loader(
            config, config.loader, dataset, split, training=split == "train", notes=Notes(contents, BadSamples())
        ) as loader:
            for epoch in range(passes):
                for _ in loader.epoch(epoch):
                    pass
        source = dataset.splits[split]
        real[split] = [list(xxhash.xxh3_128_digest(source.places(index)[0].fetch())) for index in range(len(source))]
    known = {split: rows["content"].tolist() for split, rows in read_contents(folder).items()}
    return known, real, contents.section()


LOADERS = [
    ["loader=generator"],
    ["loader=in_memory"],
    ["loader=sequence", "loader.workers=2"],
    ["loader=sequence", "loader.cache=memory"],
    ["loader=directory_flow", "data.augment.flip=horizontal"],
]


@pytest.mark.parametrize("loader", LOADERS, ids=" ".join)
def test_every_loader_digests_every_image(photos, tmp_path, loader):
    known, real, section = read_through([*photos, *loader, "loader.batch_size=5"], tmp_path / "run")
    assert known == real
    assert (section["known"], section["of"]) == (24, 24)


@pytest.mark.parametrize("loader", LOADERS[:4], ids=" ".join)
def test_every_loader_digests_every_npy_file(volumes, tmp_path, loader):
    known, real, section = read_through([*volumes, *loader, "loader.batch_size=5"], tmp_path / "run")
    assert known == real
    assert (section["known"], section["of"]) == (22, 22)
    assert set(section["files"]) == {"partition.json", "labels.json"}


def test_processes_note_what_they_read(photos, tmp_path):
    overrides = [*photos, "loader.workers=2", "loader.use_multiprocessing=true"]
    known, real, _ = read_through(overrides, tmp_path / "run", splits=("train",))
    assert known == real


def test_files_are_digested_once(photos, tmp_path, monkeypatch):
    hashed, read_hashed = [], StoredSamples.read_hashed
    monkeypatch.setattr(StoredSamples, "read_hashed", lambda *args: hashed.append(args[1]) or read_hashed(*args))
    read_through([*photos, "loader=sequence", "loader.workers=2"], tmp_path / "run", splits=("train",), passes=3)
    num_samples = len(read_contents(tmp_path / "run")["train"])
    assert sorted(hashed) == list(range(num_samples))


def test_disk_cache_content_is_not_known(photos, tmp_path):
    cached = [*photos, "loader.cache=disk", f"loader.cache_dir={tmp_path}/cache"]
    _, _, first = read_through(cached, tmp_path / "first")
    _, _, second = read_through(cached, tmp_path / "second")
    assert (first["known"], second["known"], second["digest"]) == (24, 0, None)


def test_digests_do_not_change_pixels(volumes, tmp_path):
    config = runner.compose([*volumes, "loader.batch_size=4"])
    dataset = open_dataset(config)
    (tmp_path / "run").mkdir()
    arrays = []
    for contents in (None, Contents(tmp_path / "run")):
        with open_loader(
            config, config.loader, dataset, "train", training=True, notes=Notes(contents, BadSamples())
        ) as loader:
            arrays.append(np.concatenate([batch.x for epoch in (0, 1) for batch in loader.epoch(epoch)]))
    np.testing.assert_array_equal(*arrays)
