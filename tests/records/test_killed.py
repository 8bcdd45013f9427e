"""Marking a run as killed."""

import json

import pytest

from runner.records.record import RunRecord
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
