"""Files are whole or not there."""

import errno
from pathlib import Path

import pytest

from runner.errors import RunnerError
from runner.records.files import replacing, write_atomically


def test_atomic_write_takes_text_and_bytes(tmp_path):
    write_atomically(tmp_path / "a.txt", "Straße\r\n")
    write_atomically(tmp_path / "b.bin", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == "Straße\r\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"


def test_atomic_write_leaves_no_other_file(tmp_path):
    write_atomically(tmp_path / "a.txt", "one")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_atomic_write_refuses_existing_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RunnerError, match=r"a\.txt already exists and is not overwritten"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_atomic_write_overwrites_on_request(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_atomically(path, "new", overwrite=True)
    assert path.read_text() == "new"


def test_atomic_write_escapes_surrogates(tmp_path):
    write_atomically(tmp_path / "a.txt", "caf\udce9")
    assert (tmp_path / "a.txt").read_text() == "caf\\udce9"


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_temporary_name_keeps_the_suffixes(tmp_path, name):
    with replacing(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffixes == Path(name).suffixes
        assert temporary.name != name
        temporary.write_text("weights")
    assert (tmp_path / name).read_text() == "weights"


def test_replacing_keeps_old_file_until_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_replacing_cleans_up_after_an_error(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)), replacing(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise error
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_full_disk_names_the_file(tmp_path):
    with (
        pytest.raises(RunnerError, match=r"cannot write .*a\.txt: No space left on device"),
        replacing(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_missing_folder_names_the_file(tmp_path):
    with pytest.raises(RunnerError, match=r"cannot write .*gone/a\.txt: No such file"):
        write_atomically(tmp_path / "gone" / "a.txt", "text")
