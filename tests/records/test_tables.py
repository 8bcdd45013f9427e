"""Tables survive any text, and are whole or not there."""

import csv
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import RunnerError
from runner.records.files import read_table, write_table

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@settings(deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=5))
def test_table_reads_back_equal(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_table(path, rows)
        assert read_table(path) == rows


@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_table_gives_back_the_same_float32(numbers):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_table(path, [np.array(numbers, np.float32)])
        assert np.array(read_table(path)[0], np.float32).tolist() == numbers


def test_float32_has_the_shortest_digits(tmp_path):
    write_table(tmp_path / "table.csv", [np.array([0.1, 1e-10], np.float32)])
    assert (tmp_path / "table.csv").read_bytes() == b"0.1,1e-10\r\n"


def test_table_takes_text_that_utf8_cannot_hold(tmp_path):
    write_table(tmp_path / "table.csv", [["caf\udce9.png"]])
    assert (tmp_path / "table.csv").read_text() == "caf\\udce9.png\n"
    assert read_table(tmp_path / "table.csv") == [["caf\udce9.png"]]


def test_failed_row_leaves_no_table(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_table(tmp_path / "table.csv", ([1 // n] for n in (1, 0)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b'"open'])
def test_reading_names_a_file_that_is_no_table(tmp_path, content):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(RunnerError, match=r"cannot read .*table\.csv: "):
        read_table(tmp_path / "table.csv")


def test_table_lines_end_as_rfc_4180_says(tmp_path):
    write_table(tmp_path / "table.csv", [["a", "b,c"], ['d"', "e\nf"]])
    assert (tmp_path / "table.csv").read_bytes() == b'a,"b,c"\r\n"d""","e\nf"\r\n'


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "@SUM(1)", "-2+3", "\t=1", "'=1", "''=1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formula_is_text_and_reads_back(tmp_path, text):
    write_table(tmp_path / "t.csv", [["id", text], [text, 1]])
    with (tmp_path / "t.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert cells == ["id", f"'{text}", f"'{text}", "1"]
    assert read_table(tmp_path / "t.csv") == [["id", text], [text, "1"]]


def test_numbers_and_quotes_stay_as_they_are(tmp_path):
    row = ["-0.5", "+1e-7", -3, "'quoted'", "-inf", "it's", ""]
    write_table(tmp_path / "t.csv", [row])
    assert (tmp_path / "t.csv").read_text() == "-0.5,+1e-7,-3,'quoted',-inf,it's,\n"
