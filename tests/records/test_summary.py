"""summary.json: it says what the files say, counts only while they are as they were, and holds no secret."""

import json

import pytest

from runner.records.config_yaml import write_config
from runner.records.dotted import flat
from runner.records.metrics import MetricsTable
from runner.records.run_folder import RunFolder
from runner.records.summary import MOST_POINTS, SUMMARY_JSON, SummarizedRun, read_summary, summarize, summarized_runs
from runner.settings import Settings
from tests.support.run_store import make, root, store  # noqa: F401

LONG = {"data": {"kind": "directory", "classes": [f"class {number}" for number in range(300)]}}


def summary_of(folder):
    return summarize(RunFolder(folder), write=True)


def keys_of(run):
    documents = (run.config, run.document, run.document["results"])
    dotted = [key for document in documents for key, _ in flat(document)]
    return {*dotted, *(key.partition(".")[0] for key in dotted), "run", "val_loss", "loss", "seconds", "nothing"}


@pytest.mark.parametrize("losses", [(0.5, 0.2, 0.3), (0.5, float("nan")), (float("nan"),), ()])
def test_summary_has_the_values_of_the_files(make, losses):  # noqa: F811
    whole = RunFolder(make("a", losses=losses, more=LONG))
    summarized = summary_of(whole.path)
    for key in keys_of(whole):
        for goal in (None, "min", "max"):
            values = [run.value(key, goal) for run in (whole, summarized)]
            assert values[0] == values[1] or str(values[0]) == str(values[1]) == "nan", (key, goal)
    assert "classes" not in summarized.config["data"]  # long lists are read where they are wanted
    assert (summarized.status, summarized.name, summarized.is_debug) == (whole.status, whole.name, whole.is_debug)
    assert summarized.completed(Settings.completed).config["data"]["classes"] == LONG["data"]["classes"]


def test_runs_are_listed_from_summaries_alone(store, monkeypatch):  # noqa: F811
    for run in summarized_runs(store):
        assert type(run) is RunFolder
        summarize(run, write=True)
    before = [(run.name, run.status, run.value("val_loss"), run.value("seed")) for run in summarized_runs(store)]
    monkeypatch.setattr("runner.records.run_folder.read_config", None)
    monkeypatch.setattr("runner.records.run_folder.read_document", None)
    monkeypatch.setattr("runner.records.run_folder.read_metrics", None)
    after = [(run.name, run.status, run.value("val_loss"), run.value("seed")) for run in summarized_runs(store)]
    assert before == after
    assert {status for _, status, *_ in after} == {"completed", "failed", "killed", "unrecorded", "damaged"}


def another_seed(folder):
    (folder / "config.yaml").unlink()
    write_config(folder, {"seed": 7})


def another_epoch(folder):
    table = MetricsTable(folder)
    table.resume(3)
    table.append(4, {"loss": 0.1})


def another_status(folder):
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**document, "status": "failed"}))


def another_version(folder):
    summary = json.loads((folder / SUMMARY_JSON).read_text())
    (folder / SUMMARY_JSON).write_text(json.dumps({**summary, "version": 0}))


@pytest.mark.parametrize("change", [another_seed, another_epoch, another_status, another_version])
def test_summary_counts_while_files_are_the_same(make, change):  # noqa: F811
    folder = make("a")
    summary_of(folder)
    assert read_summary(folder) is not None
    change(folder)
    assert read_summary(folder) is None
    summarized = summary_of(folder)
    assert [summarized.value(key) for key in ("seed", "status", "loss")] == [
        RunFolder(folder).value(key) for key in ("seed", "status", "loss")
    ]
    assert read_summary(folder) is not None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": 1}'])
def test_damaged_summary_is_as_good_as_none(make, content):  # noqa: F811
    folder = make("a")
    (folder / SUMMARY_JSON).write_text(content)
    assert read_summary(folder) is None
    assert summary_of(folder).value("seed") == 0
    assert read_summary(folder) is not None


def test_summary_that_cannot_be_written_is_fine(make):  # noqa: F811
    folder = make("a")
    (folder / SUMMARY_JSON).mkdir()
    assert isinstance(summary_of(folder), SummarizedRun)


def test_summary_of_a_running_run_is_not_kept(make):  # noqa: F811
    folder = make("a")
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**document, "status": "running"}))
    assert summary_of(folder).status == "running"
    assert not (folder / SUMMARY_JSON).exists()


def test_summary_holds_no_secret(make):  # noqa: F811
    arguments = {"api_token": "hunter-two", "uri": "http://me:hunter-two@host/"}
    folder = make("a", more={"data": {"kind": "custom", "arguments": arguments}, "note": "with hunter-two"})
    assert "hunter" in (folder / "config.yaml").read_text()
    assert summary_of(folder).value("data.arguments.api_token") == "***"
    assert "hunter" not in (folder / SUMMARY_JSON).read_text()


def test_long_curve_is_thinned_with_its_ends(make):  # noqa: F811
    losses = [1 / (1 + number) for number in range(250)]
    summary = summary_of(make("a", losses=losses)).summary
    curve = summary["curves"]["loss"]
    assert MOST_POINTS / 2 < len(curve) <= MOST_POINTS and curve[0] == 1 and curve[-1] == 0.004
    assert summary["objective"] == ["val_loss", "min", losses[-1] + 0.1, 250]
    assert summary["epochs"][-2:] == [249, 250]
