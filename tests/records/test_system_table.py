"""system.csv: a row appended each time, a bounded number of rows, and what a resume keeps."""

import csv

from runner.records.system_table import SystemTable, read_system


def filled(folder, rows, **settings):
    table, seconds = SystemTable(folder, **settings), 0.0
    for number in range(rows):
        seconds += table.interval
        table.append({"seconds": seconds, "step": number, "loss": None if number == 0 else 0.5})
    table.close()
    return table


def test_rows_are_read_as_written(tmp_path):
    filled(tmp_path, 3)
    assert read_system(tmp_path) == [
        {"seconds": 1.0, "step": 0.0, "loss": None},
        {"seconds": 2.0, "step": 1.0, "loss": 0.5},
        {"seconds": 3.0, "step": 2.0, "loss": 0.5},
    ]


def test_each_row_is_on_disk_at_once(tmp_path):
    table = SystemTable(tmp_path)
    for number in (1, 2, 3):
        table.append({"seconds": number})
        assert len(read_system(tmp_path)) == number
    table.close()


def test_every_second_row_goes_when_full(tmp_path):
    table = filled(tmp_path, 8 + 4 + 2, most=8)
    seconds = [row["seconds"] for row in read_system(tmp_path)]
    assert table.interval == 4
    assert seconds == [4, 8, 12, 16, 20, 24]


def test_half_a_row_is_left_out(tmp_path):
    table = filled(tmp_path, 3)
    table.path.write_text(table.path.read_text() + "4.0,")
    assert len(read_system(tmp_path)) == 3


def test_damaged_or_missing_table_has_no_rows(tmp_path):
    assert read_system(tmp_path) == []
    (tmp_path / "system.csv").write_text("seconds\nsoon\n")
    assert read_system(tmp_path) == []


def test_resume_continues_before_its_step(tmp_path):
    filled(tmp_path, 14, most=8)
    kept = [row for row in read_system(tmp_path) if row["step"] <= 11]
    table = SystemTable(tmp_path)
    table.resume(11)
    assert (table.interval, table.seconds) == (4, kept[-1]["seconds"])
    table.append({"seconds": table.seconds + 4, "step": 12, "gpu0_percent": 50})
    table.close()
    with (tmp_path / "system.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds"]) for row in rows] == [*(row["seconds"] for row in kept), table.seconds + 4]
    assert [row["gpu0_percent"] for row in rows] == [""] * len(kept) + ["50"]
