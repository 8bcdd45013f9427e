"""Packs: every loader gives the batches of the files, whatever the order inside the pack."""

import io
import tarfile
from tarfile import TarInfo

import pytest

from runner import build_loader, compose
from runner.errors import BadSampleError
from runner.place import Place
from runner.records.digests import array_digest
from tests.support.masks import discs, write_discs
from tests.support.packs import write_pack
from tests.support.photos import write_photos

pytestmark = pytest.mark.usefixtures("forked_workers")

WAYS = {
    "in_memory": ["loader=in_memory", "loader.workers=2"],
    "generator": ["loader=generator"],
    "threads": ["loader=sequence", "loader.workers=3"],
    "processes": ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"],
    "threads, kept in memory": ["loader=sequence", "loader.workers=2", "loader.cache=memory"],
    "generator, kept on disk": ["loader=generator", "loader.cache=disk"],
    "directory_flow": ["loader=directory_flow", "loader.workers=2"],
}
BATCH = "loader.batch_size=4"


def digests(loader):
    return [[(batch.ids, array_digest(batch.x, batch.y)) for batch in loader.epoch(epoch)] for epoch in range(2)]


@pytest.fixture(scope="module", params=["images", "masks"])
def data(request, tmp_path_factory):
    """Keys of files, and of their pack in a shuffled order."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "masks":
        keys = [*discs(write_discs(folder, 14)), "data.augment.flip=horizontal_and_vertical"]
    else:
        root = write_photos(folder / "photos", ["cat", "dog"], 12)
        keys = ["data=directory", f"data.root={root}", "data.target_size=[6,5]", "data.augment.flip=horizontal"]
    return keys, ["data=pack", f"data.root={write_pack(folder, *keys)}", keys[-1]]


@pytest.fixture(scope="module")
def expected(data):
    with build_loader(compose([*data[0], BATCH, "loader=generator"])) as loader:
        return digests(loader)


@pytest.mark.parametrize("way", WAYS)
def test_pack_gives_the_batches_of_files(way, data, expected, tmp_path):
    with build_loader(compose([*data[1], BATCH, *WAYS[way], f"loader.cache_dir={tmp_path}"])) as loader:
        assert digests(loader) == expected
        assert digests(loader) == expected  # from the cache, where there is one


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Keys of files, and of a tar file with the same samples."""
    folder = tmp_path_factory.mktemp("shards")
    root = write_photos(folder / "photos", ["cat", "dog"], 7)
    keys = ["data.target_size=[6,5]", "data.augment.flip=horizontal", "data.validation_split=0", BATCH]
    with tarfile.open(folder / "a.tar", "w") as tar:
        for file in sorted(root.glob("*/*")):
            name = file.relative_to(root).with_suffix("").as_posix()
            label = TarInfo(f"{name}.cls")
            label.size = len(file.parent.name)
            tar.add(file, f"{name}{file.suffix}")
            tar.addfile(label, io.BytesIO(file.parent.name.encode()))
    tar_keys = ["data=tar", f"data.shards={folder}/a.tar", f"data.index_dir={folder}", *keys]
    return ["data=directory", f"data.root={root}", *keys], tar_keys


def without_ids(epochs):
    return [[digest for _, digest in epoch] for epoch in epochs]


@pytest.mark.parametrize("way", WAYS)
def test_tar_gives_the_batches_of_files(way, shards, tmp_path):
    files, tar = shards
    with build_loader(compose([*files, "loader=generator"])) as loader:
        expected = without_ids(digests(loader))
    with build_loader(compose([*tar, *WAYS[way], f"loader.cache_dir={tmp_path}"])) as loader:
        assert without_ids(digests(loader)) == expected
        assert without_ids(digests(loader)) == expected  # from the cache, where there is one


def test_pack_begins_at_any_step(data, expected):
    with build_loader(compose([*data[1], BATCH, "loader=sequence", "loader.workers=2"])) as loader:
        tail = [(batch.ids, array_digest(batch.x, batch.y)) for batch in loader.epoch(1, start=2)]
    assert tail == expected[1][2:]


def test_blocks_of_a_pack_hold_every_sample(data):
    keys = [*data[1], BATCH, "loader.order=blocks"]
    given = []
    for way in ("generator", "threads", "in_memory"):
        with build_loader(compose([*keys, *WAYS[way]])) as loader:
            given.append(digests(loader))
            ids = [name for batch in loader.epoch(0) for name in batch.ids]
            assert sorted(ids) == sorted(loader.source.ids)
    assert given[1:] == given[:1] * 2


@pytest.mark.parametrize("workers", [0, 1])
def test_pack_comes_into_memory_as_it_lies(data, workers, monkeypatch):
    offsets, read = [], Place.read
    monkeypatch.setattr(Place, "read", lambda place: offsets.append(place.offset) or read(place))
    with build_loader(compose([*data[1], BATCH, "loader=in_memory", f"loader.workers={workers}"])) as loader:
        offsets.clear()
        loader.fill()
        images = {loader.source.places(index)[0].offset for index in range(len(loader.source))}
    assert [offset for offset in offsets if offset in images] == sorted(images)


@pytest.fixture
def damaged(tmp_path):
    """A pack with one member that is no image; keys, and the member's name."""
    root = write_photos(tmp_path / "photos", ["cat", "dog"], 6)
    keys = ["data=directory", f"data.root={root}", "data.target_size=[6,5]", "data.validation_split=0"]
    pack = ["data=pack", f"data.root={write_pack(tmp_path, *keys)}", BATCH]
    (place,) = compose(pack).data.open().splits["train"].places(3)
    with open(place.file, "r+b") as file:
        file.seek(place.offset)
        file.write(b"no image")
    return pack, place.name


@pytest.mark.parametrize("way", ["in_memory", "threads", "processes"])
def test_damaged_member_is_raised_or_left_out(way, damaged):
    keys, name = damaged
    with build_loader(compose([*keys, *WAYS[way]])) as loader, pytest.raises(BadSampleError, match=f"^{name}: "):
        digests(loader)
    with build_loader(compose([*keys, *WAYS[way], "data.on_bad=skip"])) as loader:
        assert sum(map(len, loader.epoch(0))) == 11
    with build_loader(compose([*keys, *WAYS[way], "data.on_bad=substitute"])) as loader:
        assert sum(map(len, loader.epoch(0))) == 12
