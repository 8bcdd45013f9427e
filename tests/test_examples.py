"""The example data: complete, the same each time, small, and never written over files that exist."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from runner.examples import NAMES, main


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A folder with the example data."""
    folder = tmp_path_factory.mktemp("examples")
    assert main([str(folder)]) == 0
    return folder


def test_examples_write_what_they_name(examples):
    assert {file.name for file in examples.iterdir()} == set(NAMES)
    assert sum(file.stat().st_size for file in examples.rglob("*")) < 2_000_000


def test_examples_are_the_same_each_time(examples, tmp_path):
    main([str(tmp_path)])
    files = [file.relative_to(examples) for file in examples.rglob("*") if file.is_file()]
    assert all((tmp_path / file).read_bytes() == (examples / file).read_bytes() for file in files)


def test_examples_refuse_files_that_exist(tmp_path, capsys):
    (tmp_path / "labels.json").write_text("mine")
    assert main([str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert f"must not overwrite {tmp_path / 'labels.json'}; give another folder" in message
    assert [file.name for file in tmp_path.iterdir()] == ["labels.json"]


def test_examples_write_into_current_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("examples  photos, photos.csv, volumes")


@pytest.mark.parametrize(
    "arguments, message",
    [(["a", "b"], "expected at most 1 folder, got 2 folders"), (["--halp"], "did you mean '--help'?")],
)
def test_examples_refuse_other_arguments(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_examples_help_names_every_file(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)


def test_photo_table_lists_every_photo(examples):
    with (examples / "photos.csv").open() as file:
        rows = list(csv.DictReader(file))
    listed = {row["path"] for row in rows}
    assert listed == {file.relative_to(examples).as_posix() for file in (examples / "photos").rglob("*.jpg")}
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert all(row["path"].split("/")[1] == row["shape"] for row in rows)
    assert {row["size"] for row in rows} == {"small", "large"}


def test_partition_and_labels_fit_the_volumes(examples):
    partition = json.loads((examples / "partition.json").read_text())
    labels = json.loads((examples / "labels.json").read_text())
    ids = [name for part in partition.values() for name in part]
    assert sorted(ids) == sorted(labels) == sorted(file.stem for file in (examples / "volumes").iterdir())
    assert np.load(examples / "volumes" / f"{ids[0]}.npy").shape == (16, 16, 16, 1)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from runner.examples import main; main(['--help'])\n"
        "print(*{'numpy', 'PIL', 'hydra', 'keras'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


def test_each_pet_has_a_mask_of_three_values(examples):
    images = sorted((examples / "pets" / "images").iterdir())
    assert len(images) == 60
    for file in images:
        mask = np.asarray(Image.open(examples / "pets" / "trimaps" / f"{file.stem}.png"))
        assert set(np.unique(mask)) == {1, 2, 3}
        pet = np.asarray(Image.open(file)).astype(int)[mask == 1]
        grass = np.asarray(Image.open(file)).astype(int)[mask == 2]
        assert (grass[:, 1] - grass[:, 0]).mean() > (pet[:, 1] - pet[:, 0]).mean() + 3  # grass is greener
