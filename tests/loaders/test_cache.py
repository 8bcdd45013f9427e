"""What is read once and kept: the same arrays, read no more, in the memory and the room that was stated."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from runner import build_loader, compose, run
from runner.batch import ArraySpec
from runner.data.labels import NO_LABELS
from runner.data.source import Source
from runner.errors import ConfigurationError, DataError
from runner.images.exact import ExactDecoder
from runner.images.fast import FastDecoder
from runner.loaders import disk_cache
from runner.loaders.cache import CachedSource, MemoryCache, with_cache
from runner.loaders.kinds import Sequence
from runner.modes.pipeline import needed_bytes
from runner.place import Place

pytestmark = pytest.mark.usefixtures("forked_workers")

NUM_FILES = 300
"""More than 256: a digest that ends in a zero is among them."""


class Files(Source):
    """Sample `i` is what its file says, as a 2×3 array; counts what was read."""

    spec = ArraySpec((2, 3), np.dtype(np.int32))
    labels = NO_LABELS

    def __init__(self, folder, num_samples=NUM_FILES):
        self.folder, self.reads, self.after_read = folder, 0, lambda index: None
        self.ids = [str(number) for number in range(num_samples)]
        folder.mkdir(exist_ok=True)
        for index in range(num_samples):
            if not self.path(index).exists():
                self.path(index).write_text(str(index))

    def __len__(self):
        return len(self.ids)

    def path(self, index):
        return self.folder / self.ids[index]

    def places(self, index):
        return (Place(str(self.path(index))),)

    def read(self, index, out=None):
        self.reads += 1
        out[...] = int(self.path(index).read_text())
        self.after_read(index)
        return out


def whole(source):
    out = np.zeros((len(source), *source.spec.shape), source.spec.dtype)
    source.read_many(np.arange(len(source)), out)
    return out


def values(source):
    return whole(source)[:, 0, 0].tolist()


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "files")


@pytest.fixture
def on_disk(tmp_path):
    """Opens a cache on the disk over a source, as a new run does."""
    settings = Sequence(cache="disk", cache_dir=tmp_path / "cache")
    return lambda source, recipe=(): with_cache(source, settings, dict(recipe))


def store_of(source):
    return source.cache.folder


@pytest.mark.parametrize("processes", [False, True])
def test_memory_cache_reads_each_sample_once(files, processes):
    source = CachedSource(files, MemoryCache(files.spec, len(files), processes=processes))
    assert values(source) == values(source) == list(range(NUM_FILES))
    assert files.reads == source.cache.num_found == NUM_FILES


def test_disk_cache_reads_once_for_all_runs(files, on_disk):
    first = on_disk(files)
    assert first.cache.num_found == 0
    assert values(first) == values(first) == list(range(NUM_FILES))
    again = on_disk(files)
    assert again.cache.num_found == NUM_FILES
    assert values(again) == values(again) == list(range(NUM_FILES))
    assert files.reads == NUM_FILES


def test_cached_single_reads_equal_batches(files, on_disk):
    source = on_disk(files)
    assert [source.read(index)[0, 0] for index in (5, 5, 299)] == [5, 5, 299]
    assert files.reads == 2


class ManyFiles(Files):
    """Notes which samples are read together."""

    def read_many(self, indices, out):
        self.together = indices.tolist()
        for row, index in enumerate(indices.tolist()):
            self.read(index, out[row])


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_missing_samples_are_read_together(kind, tmp_path):
    files = ManyFiles(tmp_path / "files")
    source = with_cache(files, Sequence(cache=kind, cache_dir=tmp_path / "cache"), {})
    source.read_many(np.array([3, 8, 1]), np.empty((3, 2, 3), np.int32))
    out = np.empty((6, 2, 3), np.int32)
    source.read_many(np.array([8, 9, 3, 4, 1, 5]), out)
    assert files.together == [9, 4, 5]
    assert out[:, 1, 2].tolist() == [8, 9, 3, 4, 1, 5]
    assert source.cache.num_found == files.reads == 6


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_batches_do_not_alias_the_cache(files, kind, tmp_path):
    source = with_cache(files, Sequence(cache=kind, cache_dir=tmp_path / "cache"), {})
    for _ in range(3):
        batch = whole(source)
        batch[...] = -1
    source.read(3)[...] = -1
    assert values(source) == list(range(NUM_FILES))


def test_two_runs_fill_one_cache_together(files, on_disk):
    one, other = on_disk(files), on_disk(files)
    one.read(1)
    other.read(2)
    assert other.read(1)[0, 0] == 1
    assert one.read(2)[0, 0] == 2
    assert files.reads == 2


def test_splits_and_grown_data_share_a_store(files, on_disk):
    values(on_disk(files))
    more = Files(files.folder, NUM_FILES + 50)
    assert values(on_disk(more)) == list(range(NUM_FILES + 50))
    assert more.reads == 50
    assert len({store_of(on_disk(source)) for source in (files, more)}) == 1


def test_changed_file_is_read_again_and_no_other(files, on_disk):
    values(on_disk(files))
    files.path(7).write_text("-7")
    expected = [-7 if number == 7 else number for number in range(NUM_FILES)]
    assert values(on_disk(files)) == values(on_disk(files)) == expected
    assert files.reads == NUM_FILES + 1


def test_file_with_a_new_mtime_is_read_again(files, on_disk):
    values(on_disk(files))
    files.path(7).write_text("8")
    os.utime(files.path(7), ns=(1, 1))
    assert values(on_disk(files))[7] == 8


def test_same_names_elsewhere_are_other_samples(files, on_disk, tmp_path):
    values(on_disk(files))
    shutil.copytree(files.folder, tmp_path / "copy")
    other = Files(tmp_path / "copy")
    values(on_disk(other))
    assert other.reads == NUM_FILES


def test_file_changed_while_read_is_not_cached(files, on_disk):
    source = on_disk(files)
    files.after_read = lambda index: files.path(index).write_text("1000")
    assert source.read(3)[0, 0] == 3
    files.after_read = lambda index: None
    assert on_disk(files).read(3)[0, 0] == 1000
    assert source.cache.num_found == 0 or source.read(3)[0, 0] == 1000


def test_missing_file_is_not_cached(files, on_disk):
    files.path(4).unlink()
    source = on_disk(files)
    assert source.read(5)[0, 0] == 5
    with pytest.raises(FileNotFoundError):
        source.read(4)


@pytest.mark.parametrize("damage", ["arrays", "checksums"])
def test_damaged_entry_is_read_again(files, on_disk, damage):
    values(on_disk(files))
    path = store_of(on_disk(files)) / damage
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert values(on_disk(files)) == list(range(NUM_FILES))
    assert files.reads == NUM_FILES + 1
    assert values(on_disk(files)) == list(range(NUM_FILES))
    assert files.reads == NUM_FILES + 1


@pytest.mark.parametrize("name", ["arrays", "checksums", "keys"])
def test_file_cut_off_costs_time_and_no_pixel(files, on_disk, name):
    values(on_disk(files))
    path = store_of(on_disk(files)) / name
    os.truncate(path, path.stat().st_size * 2 // 3 - 5)
    assert values(on_disk(files)) == values(on_disk(files)) == list(range(NUM_FILES))


@pytest.mark.parametrize("name", ["arrays", "checksums"])
def test_file_cut_while_it_is_used_is_no_harm(files, on_disk, name):
    source = on_disk(files)
    values(source)
    path = store_of(source) / name
    size = path.stat().st_size
    os.truncate(path, 100)
    assert values(source) == list(range(NUM_FILES))
    os.truncate(path, 0)
    os.truncate(path, size)  # as another run does, which takes room: now full of zeros
    assert values(source) == list(range(NUM_FILES))


def test_arrays_of_lost_keys_are_not_used(files, on_disk):
    values(on_disk(files))
    before = files.reads
    (store_of(on_disk(files)) / "keys").unlink()
    more = Files(files.folder, NUM_FILES + 50)  # other keys take the slots
    assert values(on_disk(more)) == values(on_disk(more)) == list(range(NUM_FILES + 50))
    assert more.reads > before // 2  # a key that gets its old slot again, by chance, still has its array there


def test_keys_of_an_older_store_are_no_harm(files, on_disk):
    """As a backup or a power failure leaves it: the keys are those of before the data grew."""
    values(on_disk(files))
    path = store_of(on_disk(files)) / "keys"
    before = path.read_bytes()
    values(on_disk(Files(files.folder, NUM_FILES + 50)))
    path.write_bytes(before)
    other = Files(files.folder.with_name("other"), 90)
    for index in range(90):
        other.path(index).write_text(str(1000 + index))
    assert values(on_disk(other)) == list(range(1000, 1090))
    assert values(on_disk(Files(files.folder, NUM_FILES + 50))) == list(range(NUM_FILES + 50))


@pytest.mark.parametrize("processes", [False, True])
def test_cache_deleted_at_any_time_is_no_harm(digits_root, tmp_path, processes):
    keys = [f"data.root={digits_root}", "loader.workers=1", "loader.batch_size=64"]
    with build_loader(compose([*keys, "loader.shuffle=false"])) as loader:
        expected = [batch.x for batch in loader.epoch(0)]
    cached = [*keys, "loader.shuffle=false", "loader.cache=disk", f"loader.cache_dir={tmp_path / 'cache'}"]
    with build_loader(compose([*cached, f"loader.use_multiprocessing={processes}".lower()])) as loader:
        shutil.rmtree(tmp_path / "cache")
        for epoch in range(2):
            for batch, x in zip(loader.epoch(epoch), expected, strict=True):
                assert np.array_equal(batch.x, x)
                shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_workers_read_what_the_caller_misses(digits_root, tmp_path):
    keys = [f"data.root={digits_root}", "loader.workers=1", "loader.cache=disk", f"loader.cache_dir={tmp_path}"]
    with build_loader(compose([*keys, "loader.shuffle=false"])) as loader:
        first = [batch.x for batch in loader.epoch(0)]
        os.truncate(loader.source.cache.folder / "arrays", 1000)
        assert all(np.array_equal(batch.x, x) for batch, x in zip(loader.epoch(1), first, strict=True))


def test_full_disk_leaves_samples_without_a_copy(files, on_disk, monkeypatch, caplog):
    source = on_disk(files)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runner.loaders.disk_cache.SharedFile.write", full)
    assert values(source) == values(source) == list(range(NUM_FILES))
    assert source.cache.num_found == 0
    assert caplog.text.count("stores no more samples") == caplog.text.count("No space left on device") == 1


def test_folder_deleted_while_it_is_opened_is_made(files, on_disk, monkeypatch):
    folder, claimed = store_of(on_disk(files)), []
    reserve = disk_cache.SharedFile.reserve

    def deleted_once(file, num_bytes):
        if not claimed:
            shutil.rmtree(folder)
            claimed.append(1)
            raise FileNotFoundError
        reserve(file, num_bytes)

    monkeypatch.setattr(disk_cache.SharedFile, "reserve", deleted_once)
    assert values(on_disk(files)) == list(range(NUM_FILES))


def test_deleted_cache_is_rebuilt(files, on_disk, tmp_path):
    source = on_disk(files)
    values(source)
    shutil.rmtree(tmp_path / "cache")
    assert values(source) == values(on_disk(files)) == list(range(NUM_FILES))


def test_source_without_samples_can_be_opened(tmp_path, on_disk):
    assert len(on_disk(Files(tmp_path / "none", 0))) == 0


SETTINGS = [
    "data.interpolation=nearest",
    "data.decode=exact",
    "data.antialias=false",
    "data.color_mode=rgb",
    "data.keep_aspect_ratio=true",
    "data.target_size=[8,7]",
]


def folders_of(root, cache, *keys):
    with build_loader(
        compose([f"data.root={root}", "loader.cache=disk", f"loader.cache_dir={cache}", *keys])
    ) as opened:
        return opened.source.cache.folder


def test_pixel_settings_have_separate_stores(digits_root, tmp_path):
    found = [folders_of(digits_root, tmp_path, *keys) for keys in ([], *([key] for key in SETTINGS))]
    assert len(set(found)) == len(SETTINGS) + 1


@pytest.mark.parametrize(
    "key", ["seed=3", "loader.batch_size=7", "data.class_mode=sparse", "data.split_seed=5", "loader.workers=0"]
)
def test_other_settings_share_a_store(digits_root, tmp_path, key):
    assert folders_of(digits_root, tmp_path, key) == folders_of(digits_root, tmp_path)


@pytest.mark.parametrize("library", disk_cache.DECODERS)
def test_decoder_versions_have_separate_stores(monkeypatch, library):
    spec, version = ArraySpec((2,), np.dtype(np.uint8)), disk_cache.metadata.version
    before = disk_cache.recipe_key(disk_cache.recipe({}, spec))
    monkeypatch.setattr(disk_cache.metadata, "version", lambda name: "0.0" if name == library else version(name))
    assert disk_cache.recipe_key(disk_cache.recipe({}, spec)) != before


def test_recipe_can_be_read_by_a_person(digits_root, tmp_path):
    recipe = json.loads((folders_of(digits_root, tmp_path) / "recipe.json").read_text())
    assert recipe["settings"]["interpolation"] == "bilinear"
    assert recipe["shape"] == [8, 8, 1]


def test_later_run_decodes_nothing(digits_root, tmp_path, monkeypatch):
    keys = [f"data.root={digits_root}", "loader.cache=disk", f"loader.cache_dir={tmp_path}", "loader.workers=2"]
    with build_loader(compose(keys)) as loader:
        expected = [batch.x for batch in loader.epoch(0)]
    for reader in (FastDecoder, ExactDecoder):
        monkeypatch.setattr(reader, "read", lambda *_: pytest.fail("a file was decoded again"))
    with build_loader(compose([*keys, "loader=in_memory"])) as loader:
        assert all(np.array_equal(batch.x, x) for batch, x in zip(loader.epoch(0), expected, strict=True))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_processes_share_what_they_read(digits_root, tmp_path, kind):
    keys = [f"data.root={digits_root}", f"loader.cache={kind}", f"loader.cache_dir={tmp_path}"]
    with build_loader(compose([*keys, "loader.workers=2", "loader.use_multiprocessing=true"])) as loader:
        for _ in loader.epoch(0):
            pass
        assert loader.source.cache.holds(np.arange(loader.num_samples))


KILLED = """
import sys
import numpy as np
import runner

if __name__ == "__main__":
    keys = ["data=npy", f"data.root={sys.argv[1]}/files", f"data.partition={sys.argv[1]}/partition.json",
            "data.class_mode=null", "data.validation_split=0", "loader.cache=disk",
            f"loader.cache_dir={sys.argv[1]}/cache"]
    with runner.build_loader(runner.compose([*keys, f"seed={sys.argv[2]}", "loader.workers=2"])) as loader:
        print("begun", flush=True)
        for batch in loader.epoch(0):
            pass
"""


def test_kill_at_any_moment_leaves_no_wrong_pixel(tmp_path):
    arrays = np.random.default_rng(0).integers(0, 256, (400, 64, 1024), np.uint8)
    (tmp_path / "files").mkdir()
    for index, array in enumerate(arrays):
        np.save(tmp_path / "files" / f"{index}.npy", array)
    (tmp_path / "partition.json").write_text(json.dumps({"train": [str(index) for index in range(len(arrays))]}))
    found = []
    for attempt, delay in enumerate((0.0, 0.03)):
        begun = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path, str(attempt)], stdout=subprocess.PIPE)
        assert begun.stdout.readline() == b"begun\n"
        time.sleep(delay)
        begun.send_signal(signal.SIGKILL)
        begun.wait()
        begun.stdout.close()
        keys = ["data=npy", f"data.root={tmp_path}/files", f"data.partition={tmp_path}/partition.json"]
        keys += ["data.class_mode=null", "data.validation_split=0", "loader.cache=disk"]
        with build_loader(compose([*keys, f"loader.cache_dir={tmp_path}/cache", "loader.workers=0"])) as loader:
            cache = loader.source.cache
            out = np.zeros(arrays.shape, np.uint8)
            kept = np.delete(np.arange(len(arrays)), cache.take(np.arange(len(arrays)), out))
            found.append(len(kept))
            assert np.array_equal(out[kept], arrays[kept])
    assert found[-1] > 0
    assert found == sorted(found)  # what one run kept the next one has
    assert found[0] < len(arrays)  # it was killed in the middle


Usage = namedtuple("Usage", "total used free")


def test_cache_takes_at_most_half_of_what_is_free(files, on_disk, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9 - 10_000, 10_000))
    message = (
        r"^loader.cache=disk may use at most half of the free space in .*, 5.0 kB of 10.0 kB; 300 new samples need "
        r"9.6 kB; set loader.cache_dir to a folder on a larger disk"
    )
    with pytest.raises(DataError, match=message):
        on_disk(files)
    monkeypatch.undo()
    assert store_of(on_disk(files)).exists()


def test_what_is_there_already_needs_no_room(files, on_disk, monkeypatch):
    values(on_disk(files))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 0))
    assert values(on_disk(files)) == list(range(NUM_FILES))


def test_space_is_reserved_before_the_first_read(files, on_disk):
    folder = store_of(on_disk(files))
    assert (folder / "arrays").stat().st_blocks * 512 >= NUM_FILES * files.spec.num_bytes


def test_folder_that_cannot_be_written_is_refused(files, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match="loader.cache_dir must be a folder that can be written: .*cache"):
        with_cache(files, Sequence(cache="disk", cache_dir=tmp_path / "cache"), {})


@pytest.mark.parametrize("without", ["files", "settings"])
def test_disk_cache_refuses_untraceable_data(files, without, tmp_path):
    settings = Sequence(cache="disk", cache_dir=tmp_path / "cache")
    if without == "files":
        files.places = lambda index: ()
    with pytest.raises(DataError, match="must have one file per sample.*loader.cache=memory"):
        with_cache(files, settings, None if without == "settings" else {})


def test_arrays_are_in_memory_already(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.arange(3))
    with pytest.raises(ConfigurationError, match="loader.cache must be none with data=arrays, got memory"):
        compose(["data=arrays", f"data.path={tmp_path / 'a.npz'}", "loader.cache=memory"])


def test_cache_memory_is_stated_and_bounded(digits_root, monkeypatch):
    bare, cached = (compose([f"data.root={digits_root}", f"loader.cache={kind}"]) for kind in ("none", "memory"))
    dataset = cached.data.open()
    needed, without = (needed_bytes(config, config.loader, dataset, ("train",)) for config in (cached, bare))
    assert needed - without == len(dataset.splits["train"]) * (64 + 1)
    monkeypatch.setattr("runner.modes.pipeline.available_bytes", lambda **_: 100_000)
    build_loader(bare).close()
    with pytest.raises(DataError, match="loader=sequence with loader.cache=memory needs .*; choose loader.cache=disk"):
        build_loader(cached)


@pytest.mark.usefixtures("empty_pages")
@pytest.mark.usefixtures("empty_pages", "eager")
def test_run_records_what_it_found(tmp_path, monkeypatch, digits_root, capsys):
    monkeypatch.chdir(tmp_path)
    keys = ["mode=fit", "model=mlp", "train.epochs=1", "loader.workers=2", f"data.root={digits_root}", "data.limit=60"]
    found = []
    for _ in range(2):
        document = run(compose([*keys, "loader.cache=disk"])).document
        found.append(document["data"]["cache"])
    split = sum(document["data"]["samples"][name] for name in ("train", "validation"))
    assert [cache["found"] for cache in found] == [0, split]
    assert {cache["samples"] for cache in found} == {180}
    assert Path(found[0]["folder"]).is_relative_to(tmp_path / "outputs" / "cache")
    printed = capsys.readouterr().out
    assert "cache     0 of 180 samples cached, 11.5 kB: " in printed
    assert f"cache     {split} of 180 samples cached" in printed
    assert "the other 60 are cached as they are read" in printed
    assert run(compose(keys)).document["data"]["cache"] is None


def test_check_keeps_nothing(tmp_path, monkeypatch, digits_root):
    monkeypatch.chdir(tmp_path)
    run(compose(["mode=check", "loader.cache=disk", f"data.root={digits_root}", "data.limit=60"]))
    assert not (tmp_path / "outputs" / "cache").exists()


def test_open_store_leaves_no_descriptor(files, on_disk):
    values(on_disk(files))
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        values(on_disk(files))
    assert len(os.listdir("/proc/self/fd")) <= before
