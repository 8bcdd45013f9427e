"""Digests of the contents of a run's files."""

import multiprocessing
import os

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.errors import RunnerError
from runner.records.contents import ROW, Contents, ContentsTable, changed_files, name_digest, read_contents


def table_of(contents):
    """Rows of the samples of a dictionary id → content, None where it is not known."""
    rows = np.zeros(len(contents), ROW)
    for row, (name, content) in zip(rows, contents.items()):
        if content is not None:
            row["name"], row["content"] = name_digest(name), content
    return rows


def note_one(table):
    table.note(1, "a.png", bytes(range(16)))


def test_row_written_by_one_is_seen_by_all(tmp_path):
    table = ContentsTable.open(tmp_path / "contents" / "train.npy", 3)
    child = multiprocessing.get_context("spawn").Process(target=note_one, args=(table,))
    child.start()
    child.join()
    assert table.are_known(np.array([0, 1, 2])).tolist() == [False, True, False]
    assert read_contents(tmp_path)["train"]["content"][1].tolist() == list(range(16))
    assert ContentsTable.open(tmp_path / "contents" / "train.npy", 3).num_known == 1
    assert ContentsTable.open(tmp_path / "contents" / "train.npy", 4).num_known == 0


def test_tables_of_other_processes_are_taken(tmp_path):
    digests = [bytes([number] * 16) for number in range(3)]
    for folder, known in ((tmp_path / "1", [1, 2]), (tmp_path / "2", [0])):
        folder.mkdir()
        for number in known:
            Contents(folder).table("train", 3).note(number, str(number), digests[number])
        Contents(folder).table("other", 2)
    contents = Contents(tmp_path)
    table = contents.table("train", 3)
    table.note(1, "1", digests[0])  # the file has changed in between: the first to be written stays
    contents.take(tmp_path / "1")
    assert contents.section()["known"] == 2 and table.are_known(np.array([0, 1, 2])).tolist() == [False, True, True]
    contents.take(tmp_path / "2")
    assert contents.section()["known"] == contents.section()["of"] == 3
    assert read_contents(tmp_path)["train"]["content"][:, 0].tolist() == [0, 0, 2]
    assert ContentsTable.open(tmp_path / "contents" / "train.npy", 3).num_known == 3


@pytest.mark.parametrize("left", [0, 7, 100, 140])
def test_table_cut_off_is_written_again(tmp_path, left):
    file = tmp_path / "contents" / "train.npy"
    table = ContentsTable.open(file, 9)
    for index in range(9):
        table.note(index, str(index), b"1" * 16)
    os.truncate(file, left)
    assert Contents(tmp_path).section()["known"] == 0  # no row is mapped: reading one would kill the process
    assert next(table.blocks())["name"].any() == (left == 140)
    assert read_contents(tmp_path) == {}
    again = ContentsTable.open(file, 9)
    assert again.num_known <= 1
    again.note(8, "8", b"1" * 16)
    assert len(read_contents(tmp_path)["train"]) == 9


def test_room_is_taken_before_the_first_row(tmp_path):
    ContentsTable.open(tmp_path / "contents" / "train.npy", 100_000)
    assert (tmp_path / "contents" / "train.npy").stat().st_blocks * 512 >= 100_000 * ROW.itemsize


@pytest.mark.parametrize("call", ["reserve", "write"])
def test_full_disk_ends_with_a_message(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"runner.records.contents.SharedFile.{call}", full)
    with pytest.raises(RunnerError, match=r"^cannot write .*train.npy: No space left on device$"):
        ContentsTable.open(tmp_path / "contents" / "train.npy", 9).note(0, "0", b"1" * 16)


def test_complete_section_has_a_digest(tmp_path):
    manifest = tmp_path / "photos.csv"
    manifest.write_text("path,label")
    contents = Contents(tmp_path, [manifest])
    table = contents.table("train", 2)
    table.note(0, "a", b"1" * 16)
    before = contents.section()
    table.note(1, "b", b"2" * 16)
    after = contents.section()
    assert (before["known"], before["of"], before["digest"]) == (2, 3, None)
    assert (after["known"], after["of"], len(after["digest"])) == (3, 3, 32)
    assert list(after["files"]) == ["photos.csv"]
    table.note(1, "b", b"3" * 16)
    assert contents.section()["digest"] != after["digest"]
    manifest.write_text("path,other")
    assert Contents(tmp_path, [manifest]).section()["files"] != after["files"]
    assert read_contents(tmp_path)["train"]["name"].tolist() == [name_digest("a"), name_digest("b")]


def test_held_tables_change_nothing_before_begin(tmp_path):
    table = Contents(tmp_path).table("train", 2)
    table.note(0, "a", b"1" * 16)
    before = table.file.read_bytes()
    for begins in (False, True):
        contents = Contents(tmp_path, held=True)
        held = contents.table("train", 2)
        held.note(1, "b", b"2" * 16)
        assert contents.section()["known"] == 2
        assert table.file.read_bytes() == before
        if begins:
            contents.begin()
            held.note(0, "a", b"3" * 16)
        contents.close()
        assert [file.name for file in table.file.parent.iterdir()] == ["train.npy"]
    rows = read_contents(tmp_path)["train"]
    assert rows["content"][:, 0].tolist() == [ord("3"), ord("2")]


def test_held_tables_of_other_data_begin_empty(tmp_path):
    for split in ("train", "test"):
        Contents(tmp_path).table(split, 2).note(0, "a", b"1" * 16)
    contents = Contents(tmp_path, held=True, forgets=True)
    contents.table("train", 2).note(1, "b", b"2" * 16)
    contents.begin()
    known = {split: rows["name"].astype(bool).tolist() for split, rows in read_contents(tmp_path).items()}
    assert known == {"train": [False, True]}


@given(
    st.dictionaries(st.text("abc", max_size=3), st.one_of(st.none(), st.integers(0, 2)), max_size=12),
    st.dictionaries(st.text("abc", max_size=3), st.one_of(st.none(), st.integers(0, 2)), max_size=12),
)
@example({"a": None, "b": 0}, {"b": 1, "a": None})
def test_changed_files_are_known_to_both_runs(before, now):
    changed, unknown = changed_files(table_of(before), table_of(now))
    both = {name for name in now if now[name] is not None and before.get(name) is not None}
    assert [list(now)[index] for index in changed] == [
        name for name in now if name in both and now[name] != before[name]
    ]
    assert unknown == len(now) - len(both)
