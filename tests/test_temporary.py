"""Several writers of a file do not disturb each other; what killed ones have left is removed."""

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from runner.records.files import replacing, write_atomically
from runner.temporary import FOREIGN_IDLE_SECONDS, HOST, IDLE_SECONDS, temporary_path


def test_writers_of_one_file_all_succeed(tmp_path):
    with ExitStack() as writers:
        paths = [writers.enter_context(replacing(tmp_path / "a.html", overwrite=True)) for _ in range(3)]
        for number, path in enumerate(paths):
            path.write_text(f"{number}")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.html", "0")]


def test_threads_may_write_one_file(tmp_path):
    errors = []

    def write():
        try:
            for _ in range(20):
                write_atomically(tmp_path / "a.html", "page" * 1000, overwrite=True, durable=False)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.fixture
def dead():
    """The pid of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.parametrize(
    ("host", "is_alive", "age", "stays"),
    [
        (HOST, False, IDLE_SECONDS + 9, False),
        (HOST, False, IDLE_SECONDS - 30, True),
        (HOST, True, IDLE_SECONDS + 9, True),
        ("other", False, FOREIGN_IDLE_SECONDS - 30, True),
        ("other", True, FOREIGN_IDLE_SECONDS + 9, False),
    ],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_files_of_killed_writers_go(tmp_path, dead, host, is_alive, age, stays, is_folder):
    left = tmp_path / f".tmp-{host}-{os.getpid() if is_alive else dead}-3-state.npz"
    left.mkdir() if is_folder else left.write_text("half")
    os.utime(left, (time.time() - age,) * 2)
    temporary_path(tmp_path / "another.json")
    assert left.exists() == stays


def test_files_of_other_names_stay(tmp_path):
    names = {".tmp-predictions", ".tmp-a-b.npz", "tmp-other-1-2-a.npz", f".tmp-{HOST}-x-2-a.npz"}
    for name in names:
        (tmp_path / name).write_text("kept")
        os.utime(tmp_path / name, (0, 0))
    temporary_path(tmp_path / "a.npz")
    assert {path.name for path in tmp_path.iterdir()} == names
