"""Reading run.json of a run with any status."""

import json
import os
import subprocess
import sys
import time
from copy import deepcopy

import pytest

from runner.errors import RunnerError
from runner.records import run_folder as reading
from runner.records.metrics import read_metrics
from runner.records.record import RunRecord
from runner.records.run_folder import RunFolder, read_run
from runner.records.run_names import all_runs
from runner.runs.__main__ import main as runs_main

CHILD = """
import itertools, pathlib, sys
from runner.records.metrics import MetricsTable
from runner.records.record import RunRecord
folder = pathlib.Path(sys.argv[1])
record, table = RunRecord.open(folder, backend="jax"), MetricsTable(folder)
with record.stage("fit"):
    for epoch in itertools.count(1):
        table.append(epoch, {"loss": 1 / epoch})
        record.update(results={"fit": {"epochs": epoch, "padding": "x" * 100_000}})
"""


def test_read_run_matches_a_living_writer(tmp_path):
    record = RunRecord.open(tmp_path, backend="jax")
    assert read_run(tmp_path) == record.document
    assert read_run(tmp_path)["status"] == "running"
    record.close("failed", ValueError("no"))
    assert read_run(tmp_path)["status"] == "failed"


@pytest.mark.parametrize("delay_seconds", [0.0, 0.013, 0.05])
def test_killed_run_reads_whole_and_as_killed(tmp_path, delay_seconds):
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)]) as child:
        while len(read_metrics(tmp_path)) < 3 and child.poll() is None:
            time.sleep(0.01)
        assert read_run(tmp_path)["status"] == "running"
        time.sleep(delay_seconds)
        child.kill()
    document, rows = read_run(tmp_path), read_metrics(tmp_path)
    assert (document["status"], document["stage"]) == ("killed", "fit")
    assert len(rows) - document["results"]["fit"]["epochs"] in (0, 1)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "running"


def test_run_ending_while_read_is_not_killed(tmp_path, monkeypatch):
    record = RunRecord.open(tmp_path, backend="jax")

    def end(*_):
        record.close("completed")
        return False

    monkeypatch.setattr(reading, "is_alive", end)
    assert read_run(tmp_path)["status"] == "completed"


def test_run_of_another_host_stays_running(tmp_path):
    process = {"host": "elsewhere", "boot_id": "x", "pid": os.getpid()}
    (tmp_path / "run.json").write_text(json.dumps({"status": "running", "process": process}))
    assert read_run(tmp_path)["status"] == "running"


def test_read_run_names_a_missing_file(tmp_path):
    with pytest.raises(RunnerError, match=r"run\.json does not exist; give the folder of a run"):
        read_run(tmp_path)


@pytest.mark.parametrize("content", [b'{"status": "runn', b"", b"\xff"])
def test_read_run_names_a_damaged_file(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunnerError, match=r"run\.json is damaged: it is not valid JSON: "):
        read_run(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '"status"'])
def test_read_run_names_a_file_that_is_no_record(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunnerError, match=r"run\.json is not the record of a run: it has no status"):
        read_run(tmp_path)


def test_read_run_names_a_file_it_may_not_read(tmp_path):
    (tmp_path / "run.json").mkdir()
    with pytest.raises(RunnerError, match=r"cannot read .*run\.json: "):
        read_run(tmp_path)


GOOD = object()
ODD = [1, "text", [1], {"a": [{"b": 1}]}, None, True, [[]]]
KEYS = [
    *(
        "status",
        "stage",
        "error",
        "argv",
        "overrides",
        "foreign_files",
        "from_run",
        "resumed",
        "process",
        "git",
        "data",
    ),
    *("digests", "results", "seconds", "versions", "loader", "results.evaluate", "results.fit.wait", "data.samples"),
    *("data.heads", "data.steps", "data.contents", "error.message", "process.host", "seconds.total", "machine"),
]


@pytest.mark.parametrize("key", KEYS)
def test_odd_section_spoils_one_run_at_most(key, tmp_path, monkeypatch, capsys):
    """Each command answers for the other runs, whatever stands in one run.json."""
    runs = tmp_path / "outputs" / "runs"
    monkeypatch.chdir(tmp_path)
    good = {"status": "completed", "results": {"evaluate": {"loss": 1.0}}, "seconds": {"total": 3.0}}
    for number, odd in enumerate([*ODD, GOOD, GOOD]):
        folder = runs / f"odd{number}"
        folder.mkdir(parents=True)
        document = deepcopy(good)
        *parents, name = key.split(".")
        section = document
        for parent in parents:
            section = section.setdefault(parent, {})
        section[name] = None if odd is GOOD else odd
        (folder / "run.json").write_text(json.dumps(good if odd is GOOD else document))
    for words in (["list"], ["compare"], ["clean"], ["best", "metric=evaluate.loss"], ["list", "format=json"]):
        assert runs_main(words) == 0
    for run in all_runs(tmp_path / "outputs"):
        assert runs_main(["show", run.name]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["[" * 200_000, '{"status": ' + "[" * 60 + "]" * 60 + "}", "[]", "3", '"x"'])
def test_odd_file_makes_a_run_damaged(text, tmp_path):
    (tmp_path / "run.json").write_text(text)
    assert RunFolder(tmp_path).status == "damaged"
    with pytest.raises(RunnerError, match=r"run.json is (damaged|not the record)"):
        read_run(tmp_path)
    with pytest.raises(RunnerError, match="run.json"):
        reading.mark_killed(tmp_path)
