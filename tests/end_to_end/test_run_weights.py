"""Runs that begin with weights by name: when they are fetched, what is recorded, and who needs the file."""

import shutil
from pathlib import Path

import pytest

from runner import compose
from runner.__main__ import execute
from runner.errors import ConfigurationError, VerifyError
from runner.modes.run import run
from runner.records.contents import file_digest
from runner.records.run_folder import read_run
from tests.support.photos import write_photos
from tests.support.weights import FILE, KerasHome

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

QUICK = ["mode=fit", "loader=in_memory", "loader.batch_size=8", "data.validation_split=0", "model.trainable=false"]
NAMED = ["model=application", "model.name=EfficientNetB0", "model.weights=imagenet"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        yield KerasHome(patched, tmp_path_factory.mktemp("keras"))


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    root = write_photos(tmp_path_factory.mktemp("photos"), ("cat", "dog"), 4)
    return ["data=directory", f"data.root={root}", "data.target_size=[32,32]", *NAMED, *QUICK]


@pytest.fixture(scope="module")
def first(home, overrides, tmp_path_factory, eager):
    """A run of one epoch, whose weights then went away."""
    home.make(home.file)
    folder = tmp_path_factory.mktemp("first")
    run(compose([*overrides, "train.epochs=1"]), folder=folder)
    home.file.rename(home.file.with_name("away"))
    return folder


def test_weights_are_recorded_with_their_digest(first, home):
    recorded = read_run(first)["model"]["weights"]
    digest = file_digest(home.file.with_name("away"))
    assert recorded == {"path": str(home.file), "url": f"{home.url}{FILE}", "digest": digest}


@pytest.mark.parametrize("unsized", [False, True])
def test_missing_weights_end_before_data_are_read(unsized, first, overrides, tmp_path, monkeypatch, capsys):
    """Also where only the data say how large images are."""
    monkeypatch.chdir(tmp_path)
    table = [f"data.{key}={overrides[1].partition('=')[2]}/none.json" for key in ("partition", "labels")]
    Path(table[0].partition("=")[2]).write_text("{}")
    keys = [*NAMED, *QUICK, "data=npy", *table] if unsized else overrides
    assert execute([*keys, "data.root=."]) == 2  # there is not even a class in it
    error = capsys.readouterr().err
    assert error.startswith(f"error: model.weights=imagenet needs {FILE} for EfficientNetB0, and http://127.0.0.1")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_resume_needs_no_weights(first, tmp_path):
    folder = shutil.copytree(first, tmp_path / "resumed")
    run(compose([f"resume={folder}", "train.epochs=2"]))
    document = read_run(folder)
    assert document["digests"]["weights_per_epoch"][:1] == read_run(first)["digests"]["weights_per_epoch"]
    assert len(document["digests"]["weights_per_epoch"]) == 2
    assert document["model"] == read_run(first)["model"]


def test_other_weights_are_named(first, home, tmp_path):
    stateless = shutil.copytree(first, tmp_path / "stateless")
    for state in stateless.glob("checkpoints/state-*.npz"):
        state.unlink()
    home.make(home.file, seed=1)
    with pytest.raises(ConfigurationError, match=rf"{FILE} had other weights when the run began \(digest"):
        run(compose([f"resume={stateless}", "train.epochs=2"]))
    (tmp_path / "again").mkdir()
    with pytest.raises(VerifyError, match=rf"likely cause: the initial weights in {home.file} changed"):
        run(compose([f"rerun={first}", "verify=true"]), folder=tmp_path / "again")
