"""A model that is used on samples it was trained on: they are named, however the splits came to differ."""

import json
import shutil

import numpy as np
import pytest

from runner import compose
from runner.modes.trained_samples import notes_on_trained
from runner.records.config_yaml import write_config
from runner.records.contents import CONTENTS, ContentsTable
from runner.records.digests import data_fingerprint
from runner.records.run_folder import RunFolder
from tests.support.photos import write_photos


@pytest.fixture
def arrays(tmp_path):
    """The settings of 200 samples in a file."""
    np.savez(tmp_path / "a.npz", x=np.arange(200.0)[:, None], y=np.arange(200) % 4)
    return lambda *overrides: compose(["data=arrays", f"data.path={tmp_path / 'a.npz'}", "model=mlp", *overrides])


@pytest.fixture
def photos(tmp_path):
    """The settings of 30 images in a folder."""
    root = write_photos(tmp_path / "photos", ["cat", "dog", "owl"], 10)
    keys = ["data=directory", "data.target_size=[4,4]", "data.test_split=0.2"]
    return lambda *overrides, folder=root: compose([*keys, f"data.root={folder}", *overrides])


def trained(folder, config, *, read=()):
    """The folder of a run of `config` whose data is as now; it read the samples of the splits `read` from files."""
    dataset = config.data.open()
    samples = {split: len(source) for split, source in dataset.splits.items()}
    document = {"status": "completed", "data": {"samples": samples, "fingerprint": data_fingerprint(dataset.stat())}}
    folder.mkdir()
    write_config(folder, config.document())
    (folder / "run.json").write_text(json.dumps(document))
    for split in read:
        source = dataset.splits[split]
        table = ContentsTable.open(folder / CONTENTS / f"{split}.npy", len(source))
        for index, name in enumerate(source.ids):
            table.note(index, name, source.read_hashed(index, source.spec.empty()))
    return RunFolder(folder)


def notes(config, run, split="validation"):
    dataset = config.data.open()
    return list(notes_on_trained(config, run, split, dataset.splits[split], data_fingerprint(dataset.stat())))


def shared(run_config, config, split="validation"):
    before, now = run_config.data.open().splits["train"].ids, config.data.open().splits[split].ids
    return len(set(before) & set(now)), len(now)


@pytest.mark.parametrize(
    "change", ["split_seed=1", "stratify=false", "validation_split=0.4", "limit=20", "class_mode=input"]
)
def test_another_division_is_named(arrays, tmp_path, change):
    run, other = trained(tmp_path / "run", arrays()), arrays(f"data.{change}")
    known, held_out = shared(arrays(), other)
    if not known:  # a limit only leaves samples out
        assert notes(other, run) == []
        return
    (note,) = notes(other, run)
    assert note.startswith(f"{known} of {held_out} validation samples were training samples of {run.path}, whose model")


def test_same_division_needs_no_note(arrays, tmp_path):
    run = trained(tmp_path / "run", arrays())
    assert notes(arrays(), run) == notes(arrays("data.scale=unit"), run) == []


def test_old_run_is_divided_as_it_was(arrays, tmp_path):
    run = trained(tmp_path / "run", arrays("data.stratify=false"))
    file = run.path / "config.yaml"
    file.write_text(file.read_text().replace("  stratify: false\n", ""))
    assert notes(arrays("data.stratify=false"), run) == []
    assert len(notes(arrays(), run)) == 1


def test_moved_samples_of_grown_data_are_named(photos, tmp_path):
    run = trained(tmp_path / "run", photos(), read=["train"])
    before = set(photos().data.open().splits["train"].ids)
    for number in range(20):
        shutil.copy(tmp_path / "photos/cat/00.png", tmp_path / f"photos/cat/new-{number}.png")
    known = before & set(photos().data.open().splits["validation"].ids)
    assert [note.split()[0] for note in notes(photos(), run)] == ([str(len(known))] if known else [])


def test_copied_data_is_known_by_its_bytes(photos, tmp_path):
    run = trained(tmp_path / "run", photos(), read=["train"])
    shutil.copytree(tmp_path / "photos", tmp_path / "copy", copy_function=shutil.copyfile)
    assert len(notes(photos("data.split_seed=1", folder=tmp_path / "copy"), run)) == 1
    write_photos(tmp_path / "others", ["cat", "dog", "owl"], 10, seed=1)
    assert notes(photos("data.split_seed=1", folder=tmp_path / "others"), run) == []


def test_parts_of_a_mix_are_its_samples(photos, tmp_path):
    write_photos(tmp_path / "others", ["cat", "dog", "owl"], 4, seed=1)
    keys = "kind: directory, target_size: [4, 4], test_split: 0.2"
    parts = [f"{name}: {{{keys}, root: {tmp_path / name}}}" for name in ("photos", "others")]
    alone = photos("data.split_seed=1")
    mix = compose(["data=mix", f"data.parts={{{', '.join(parts)}}}"])
    for number, (before, now) in enumerate([(mix, alone), (alone, mix)]):
        run = trained(tmp_path / f"run-{number}", before)
        ids = [[name.removeprefix("photos/") for name in config.data.open().splits[split].ids]
               for config, split in ((before, "train"), (now, "test"))]  # fmt: skip
        known = len(set(ids[0]) & set(ids[1]))
        assert known and [note.split()[0] for note in notes(now, run, "test")] == [str(known)]


def test_old_data_that_is_gone_says_nothing(arrays, photos, tmp_path):
    run = trained(tmp_path / "run", photos())
    shutil.rmtree(tmp_path / "photos")
    assert notes(arrays(), run) == []
