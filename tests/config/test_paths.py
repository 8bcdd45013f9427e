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
