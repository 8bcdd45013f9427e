"""Every run has a folder of its own."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import RunnerError
from runner.records.folder import new_run_folder, new_sweep_folder, point_latest

NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{6}")


@pytest.mark.parametrize(("new_folder", "kind"), [(new_run_folder, "runs"), (new_sweep_folder, "sweeps")])
def test_new_folder_is_empty_and_timestamped(tmp_path, new_folder, kind):
    folder = new_folder(tmp_path / "outputs")
    assert folder.parent == tmp_path / "outputs" / kind
    assert NAME.fullmatch(folder.name)
    assert list(folder.iterdir()) == []


def test_default_run_folder_is_under_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new_run_folder().parent == Path("outputs/runs")


def test_run_folders_differ_between_threads(tmp_path):
    with ThreadPoolExecutor(20) as pool:
        folders = list(pool.map(new_run_folder, [tmp_path] * 20))
    assert len(set(folders)) == 20
    assert all(folder.is_dir() for folder in folders)


def test_run_folders_differ_between_processes(tmp_path):
    code = (
        "import pathlib, random; random.seed(0);"
        f"from runner.records.folder import *; print(new_run_folder(pathlib.Path({str(tmp_path)!r})))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    folders = {process.communicate()[0].strip() for process in started}
    assert len(folders) == 8
    assert all(Path(folder).is_dir() for folder in folders)


def test_existing_run_folder_is_not_reused(tmp_path, monkeypatch):
    digits = iter([b"\0\0\0"] * 3 + [b"\0\0\1"] * 3)
    monkeypatch.setattr(os, "urandom", lambda size: next(digits))
    first, second = new_run_folder(tmp_path), new_run_folder(tmp_path)
    assert first != second


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(RunnerError, match=r"cannot make a folder in .*outputs/runs: .*; free"):
        new_run_folder(tmp_path / "outputs")


def test_point_latest_follows_the_newest_run(tmp_path):
    first, second = new_run_folder(tmp_path), new_run_folder(tmp_path)
    for folder in (first, second):
        point_latest(tmp_path, folder)
        assert (tmp_path / "latest").resolve() == folder.resolve()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "runs"]


def test_point_latest_survives_moving_the_outputs(tmp_path):
    root = tmp_path / "outputs"
    folder = new_run_folder(root)
    point_latest(root, folder)
    moved = root.rename(tmp_path / "archive")
    assert (moved / "latest").resolve() == (moved / "runs" / folder.name).resolve()


def test_point_latest_works_from_many_threads(tmp_path):
    folders = [new_run_folder(tmp_path) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda folder: point_latest(tmp_path, folder), folders))
    assert (tmp_path / "latest").resolve() in [folder.resolve() for folder in folders]


def test_latest_is_optional_without_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    point_latest(tmp_path, new_run_folder(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_latest_keeps_a_real_folder(tmp_path):
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "notes.txt").write_text("mine")
    point_latest(tmp_path, new_run_folder(tmp_path))
    assert (tmp_path / "latest" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "runs"]


def test_folder_imports_the_standard_library_only():
    code = (
        "import sys; import runner.records.folder;"
        "print([m for m in ('numpy', 'psutil', 'yaml', 'pydantic', 'keras') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr
