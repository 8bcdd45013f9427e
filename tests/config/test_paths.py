"""Paths that are not there are told before anything is started."""

from pathlib import Path

import pytest


@pytest.fixture
def photos(workplace):
    Path("data/photos/cat").mkdir(parents=True)
    Path("notes.txt").touch()


def test_missing_folder_reports_search_path(photos, problems, tmp_path):
    assert problems("data=directory", "data.root=data/photoz") == [
        f"data.root must be an existing folder, got data/photoz (looked in {tmp_path}/data); "
        "did you mean 'data/photos'?"
    ]


def test_typo_in_an_outer_folder_is_found(photos, problems, tmp_path):
    (told,) = problems("data=directory", "data.root=dato/photos")
    assert told.endswith(f"(looked in {tmp_path}); did you mean 'data/photos'?")


def test_distant_paths_are_not_suggested(photos, problems, tmp_path):
    (told,) = problems("data=directory", "data.root=zzzzzzzz")
    assert told == f"data.root must be an existing folder, got zzzzzzzz (looked in {tmp_path})"


def test_home_folder_is_suggested_for_a_tilde(photos, problems, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "data"))
    (told,) = problems("data=directory", "data.root='~/photos'")
    assert told.endswith(f"got ~/photos (looked in {tmp_path}); did you mean '{tmp_path}/data/photos'?")


def test_file_instead_of_a_folder_is_reported(photos, problems):
    told = problems("data=directory", "data.root=notes.txt")
    assert told == ["data.root must be an existing folder, got notes.txt, which is a file"]


def test_missing_file_joins_other_problems(photos, problems):
    told = problems("data=arrays", "data.path=note.txt", "seed=x")
    assert told[0].startswith("seed must be")
    assert told[1].startswith("data.path must be an existing file, got note.txt")
    assert told[1].endswith("did you mean 'notes.txt'?")


def test_every_missing_path_is_reported(photos, problems):
    told = problems("data=directory", "data.root=a", "data.validation_root=b", "data.test_root=data/photos")
    assert [problem.split(" ")[0] for problem in told] == ["data.root", "data.validation_root"]


@pytest.mark.parametrize("key", ["data.root", "data.validation_root"])
def test_name_that_is_too_long_is_reported(photos, problems, key):
    name = 300 * "a"
    told = problems("data=directory", "data.root=data/photos", f"{key}={name}")
    assert told == [f"{key} must be an existing folder, got {name} (file name too long)"]


def test_folder_one_may_not_enter_is_reported(photos, problems, monkeypatch):
    plain = Path.stat

    def refuse(path, **keys):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, **keys)

    monkeypatch.setattr(Path, "stat", refuse)
    told = problems("data=directory", "data.root=data/locked")
    assert told == ["data.root must be an existing folder, got data/locked (permission denied)"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["data.root="], "data.root must be a folder, got ''"),
        (["data=directory", "data.root=data", "data.test_root="], "data.test_root must be a folder, or null, got ''"),
        (["data=arrays", "data.path="], "data.path must be a file, got ''"),
        (["loader.cache_dir="], "loader.cache_dir must be a folder, got ''"),
        (["resume="], "resume must be a folder, got ''; give resume=latest or resume=RUN_DIR"),
    ],
)
def test_empty_path_is_not_the_working_directory(photos, problems, keys, message):
    assert problems(*keys) == [message]
