"""bad_samples.csv."""

import csv

import pytest

from runner.errors import DataError
from runner.records.bad_samples import BAD_SAMPLES_CSV, HEADER, SHOWN, BadSamples


def rows(folder):
    with (folder / BAD_SAMPLES_CSV).open(newline="") as file:
        return list(csv.reader(file))


def test_bad_sample_is_listed_and_counted_once(tmp_path):
    told = []
    bad = BadSamples(tmp_path, notify=told.append)
    for _ in range(2):
        bad.note("train", "cat/1.png", "/data/cat/1.png", "empty file")
        bad.note("validation", "cat/1.png", "/data/cat/1.png", "empty file")
    assert rows(tmp_path) == [
        list(HEADER),
        ["train", "cat/1.png", "/data/cat/1.png", "empty file"],
        ["validation", "cat/1.png", "/data/cat/1.png", "empty file"],
    ]
    assert bad.counts() == {"train": 1, "validation": 1}
    assert told == ["bad sample /data/cat/1.png: empty file"] * 2


def test_list_is_not_there_while_nothing_is_bad(tmp_path):
    assert BadSamples(tmp_path).counts() == {}
    assert not (tmp_path / BAD_SAMPLES_CSV).exists()


def test_first_few_are_shown_and_all_listed(tmp_path):
    told = []
    bad = BadSamples(tmp_path, notify=told.append)
    for number in range(50):
        bad.note("train", f"{number}", f"/{number}", "torn")
    assert len(told) == SHOWN + 1
    assert told[-1] == "more than 10 bad samples: no more are shown; bad_samples.csv lists all"
    assert len(rows(tmp_path)) == 51


def test_resumed_run_goes_on_with_its_list(tmp_path):
    BadSamples(tmp_path).note("train", "a", "/a", "torn")
    with (tmp_path / BAD_SAMPLES_CSV).open("a") as file:
        file.write("train,b,/b")  # a power cut
    bad = BadSamples(tmp_path)
    assert bad.counts() == {"train": 1}
    for name in "ab":
        bad.note("train", name, f"/{name}", "torn")
    assert rows(tmp_path) == [list(HEADER), ["train", "a", "/a", "torn"], ["train", "b", "/b", "torn"]]


def test_held_list_is_written_at_begin(tmp_path):
    BadSamples(tmp_path).note("train", "a", "/a", "torn")
    with (tmp_path / BAD_SAMPLES_CSV).open("a") as file:
        file.write("train,b,/b")  # a power cut
    before = (tmp_path / BAD_SAMPLES_CSV).read_bytes()
    bad = BadSamples(tmp_path, held=True)
    bad.note("train", "c", "/c", "torn")
    assert bad.counts() == {"train": 2}
    assert (tmp_path / BAD_SAMPLES_CSV).read_bytes() == before
    bad.begin()
    bad.note("train", "d", "/d", "torn")
    assert [row[1] for row in rows(tmp_path)] == ["id", "a", "c", "d"]


def test_bound_covers_splits_and_resumes(tmp_path):
    bad = BadSamples(tmp_path, most=1)
    bad.note("train", "a", "/a", "torn")
    bad.note("train", "a", "/a", "torn")
    expected = "data.max_bad=1 must cover all bad samples, got 2; fix them, or raise the limit:\n/a: torn\n/b: empty"
    with pytest.raises(DataError) as raised:
        bad.note("test", "b", "/b", "empty")
    assert str(raised.value) == expected
    with pytest.raises(DataError, match="got 2"):
        BadSamples(tmp_path, most=1).note("train", "a", "/a", "torn")


def test_bound_covers_all_processes_of_a_run(tmp_path):
    folders = [tmp_path, tmp_path / "1"]
    folders[1].mkdir()
    first, other = (BadSamples(folder, most=2, others=[folders[1 - n]]) for n, folder in enumerate(folders))
    first.note("test", "a", "/a", "torn")
    other.note("test", "a", "/a", "torn")
    other.note("test", "b", "/b", "torn")
    with pytest.raises(DataError, match="got 3"):
        first.note("test", "c", "/c", "torn")
    first.take(folders[1])
    first.take(tmp_path / "none")
    assert [row[1] for row in rows(tmp_path)] == ["id", "a", "c", "b"] and first.counts() == {"test": 3}


def test_names_are_listed_as_text_and_known_again(tmp_path):
    name = "=cmd|' /C calc'!A0\n.png"
    BadSamples(tmp_path).note("train", name, f"/photos/{name}", "torn")
    assert "'=cmd" in (tmp_path / BAD_SAMPLES_CSV).read_text()
    again = BadSamples(tmp_path)
    again.note("train", name, f"/photos/{name}", "torn")
    assert again.counts()["train"] == 1
