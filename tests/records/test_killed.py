"""Marking a run as killed."""

import json
import logging

import pytest

from runner.errors import RunnerError
from runner.records.record import RunRecord, close_log, open_log
from runner.records.run_folder import mark_killed, read_run


def test_run_that_runs_on_is_marked(tmp_path):
    RunRecord.open(tmp_path, backend="tensorflow", seeds={"seed": 3})._log.close()
    mark_killed(tmp_path)
    document = read_run(tmp_path)
    assert (document["status"], document["seeds"]) == ("killed", {"seed": 3})


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_run_that_has_ended_is_left_as_it_is(tmp_path, status):
    RunRecord.open(tmp_path, backend="tensorflow").close(status)
    before = (tmp_path / "run.json").read_bytes()
    mark_killed(tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before
    assert json.loads(before)["status"] == status


def test_run_that_had_no_record_yet_gets_none(tmp_path):
    mark_killed(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_run_that_ends_on_a_full_disk_is_closed(tmp_path, monkeypatch):
    record = RunRecord.open(tmp_path, backend="tensorflow")

    def full(path, *_, **__):
        raise RunnerError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr("runner.records.record.write_atomically", full)
    before = (tmp_path / "run.json").stat().st_size
    with pytest.raises(RunnerError, match=r"run.json: No space left on device$"):
        record.close("failed", OSError("No space left on device"))
    assert read_run(tmp_path)["status"] == "failed"
    assert (tmp_path / "run.json").stat().st_size <= before


def test_log_on_a_full_disk_loses_its_lines(tmp_path, capsys):
    handler = open_log(tmp_path)
    handler.stream.close()
    handler.stream = open("/dev/full", "w")  # noqa: SIM115
    logging.getLogger("runner").warning("lost")
    close_log(handler)
    assert capsys.readouterr().err == ""
