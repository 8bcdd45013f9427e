"""Values as a person reads them."""

import io
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.records import output
from runner.records.output import brief, spread, write_rows


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.1235"),
        (0.0312, "0.0312"),
        (0.975, "0.975"),
        (0.00012345, "0.0001234"),
        (49.1, "49.1"),
        (14.812, "14.81"),
        (3.0, "3"),
        (100.0, "100"),
        (999.5, "999.5"),
        (999.96, "1,000"),
        (1687.23, "1,687"),
        (10330.4, "10,330"),
        (-2500.0, "-2,500"),
        (1.5e12, "1.5e+12"),
        (0.0000123, "1.23e-05"),
        (0.0, "0"),
        (float("inf"), "inf"),
        (10330, "10330"),
        (float("nan"), "nan"),
        (True, "true"),
        (None, ""),
        ("a" * 64, "a" * 12 + "…"),
    ],
)
def test_value_is_as_short_as_a_person_wants_it(value, text):
    assert brief(value) == text


@given(value=st.floats(1e-4, 1e9, exclude_max=True))
def test_numbers_have_four_significant_digits(value):
    text = brief(value)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.0005001)
    digits = text.replace(",", "").replace(".", "").lstrip("0")
    assert len(digits) <= 4 or "." not in text
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        (0.4, 0.1, "0.4000 ± 0.1000"),
        (49.1, 0.347, "49.10 ± 0.35"),
        (1687.23, 12.34, "1,687 ± 12"),
        (100.0, 0.0, "100 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (1.23456e-5, 1e-6, "1.235e-05 ± 1e-06"),
    ],
)
def test_deviation_goes_to_the_place_of_the_mean(mean, deviation, text):
    assert spread(mean, deviation) == text


COLUMNS = ["job", "train.learning_rate", "evaluate.accuracy", "first batch s", "status"]
ROWS = [[0, 0.01, "0.9750 ± 0.0123", 1.5, "completed"], [1, 0.1, None, "0.0312 ± 0", "failed"]]


@pytest.fixture
def printed(monkeypatch):
    """The table on a terminal of some width."""

    def on_terminal(width):
        file = io.StringIO()
        made = partial(Console, file=file, force_terminal=True, width=width, color_system=None)
        monkeypatch.setattr(output, "Console", made)
        write_rows(COLUMNS, ROWS, "table", rest="sweep.csv has all")
        return [line.rstrip() for line in file.getvalue().splitlines()]

    return on_terminal


def test_fitting_table_has_a_line_per_row(printed):
    assert printed(90) == [
        "job  train.learning_rate  evaluate.accuracy  first batch s  status",
        "  0                 0.01    0.9750 ± 0.0123            1.5  completed",
        "  1                  0.1                        0.0312 ± 0  failed",
    ]


def test_wide_table_splits_headings(printed):
    assert printed(60) == [
        "            train.  evaluate.    first",
        "job  learning_rate   accuracy  batch s  status",
        "  0           0.01     0.9750      1.5  completed",
        "                     ± 0.0123",
        "  1            0.1              0.0312  failed",
        "                                   ± 0",
    ]


def test_narrow_table_leaves_columns_out(printed):
    lines = printed(40)
    assert lines[:3] == [
        "            train.  evaluate.    first",
        "job  learning_rate   accuracy  batch s",
        "  0           0.01     0.9750      1.5",
    ]
    assert lines[-1] == "left out: status; sweep.csv has all"


def test_columns_that_stay_are_folded_not_cut(monkeypatch):
    file = io.StringIO()
    made = partial(Console, file=file, force_terminal=True, width=44, color_system=None)
    monkeypatch.setattr(output, "Console", made)
    rows = [["2026-01-03_00-00-00_cccccc", 0.123456, 0.5, "loader=sequence data.root=photos"]]
    write_rows(["run", "evaluate.loss", "evaluate.accuracy", "overrides"], rows, "table", kept=["overrides"])
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines[1:3] == ["2026-01-03_00-00-00_cccccc  loader=sequence", "                            data.root=photos"]
    assert lines[3:] == ["left out: evaluate.loss, evaluate.accuracy;", "format=csv shows all"]


def test_many_columns_left_out_are_counted(monkeypatch):
    file = io.StringIO()
    made = partial(Console, file=file, force_terminal=True, width=60, color_system=None)
    monkeypatch.setattr(output, "Console", made)
    names = [f"2026-01-{day:02}_00-00-00_cccccc" for day in range(1, 21)]
    write_rows(["run", *names], [["status", *["completed"] * 20]], "table")
    text = " ".join(line.strip() for line in file.getvalue().splitlines())  # no name is broken
    assert f"completed left out: {names[3]}, {names[4]}, " in text
    assert text.endswith(f"{names[14]} and 5 more; format=csv shows all")


def test_texts_break_between_words_not_in_numbers(monkeypatch):
    file = io.StringIO()
    made = partial(Console, file=file, force_terminal=True, width=38, color_system=None)
    monkeypatch.setattr(output, "Console", made)
    typed = "train.epochs=4 train.learning_rate=0.0005089 data.labels=[first,second,third,fourth]"
    write_rows(["run", "overrides"], [["2026-01-03_00", typed]], "table", kept=["overrides"])
    lines = [line[15:].rstrip() for line in file.getvalue().splitlines()]
    assert lines[1:4] == ["train.epochs=4", "train.learning_rate=", "0.0005089 data.labels="]
    assert lines[4:] == ["[first,second,third,", "fourth]"]
