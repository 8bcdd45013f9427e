"""What was in the files of a run."""

import pickle

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from runner.records.contents import ROW, Contents, ContentsTable, changed_files, name_digest, read_contents


def table_of(contents):
    """Rows of the samples of a dictionary id → content, None where it is not known."""
    rows = np.zeros(len(contents), ROW)
    for row, (name, content) in zip(rows, contents.items()):
        if content is not None:
            row["name"], row["content"] = name_digest(name), content
    return rows


def test_row_written_by_one_is_seen_by_all(tmp_path):
    table = ContentsTable.open(tmp_path / "contents" / "train.npy", 3)
    other = pickle.loads(pickle.dumps(table))
    other.note(1, "a.png", bytes(range(16)))
    assert table.are_known(np.array([0, 1, 2])).tolist() == [False, True, False]
    assert table.rows["content"][1].tolist() == list(range(16))
    assert ContentsTable.open(tmp_path / "contents" / "train.npy", 3).rows["name"].any()
    assert not ContentsTable.open(tmp_path / "contents" / "train.npy", 4).rows["name"].any()


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
