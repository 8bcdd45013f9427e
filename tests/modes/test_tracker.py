"""Trackers get whole runs, and none fails one."""

import pytest

from runner import compose
from runner.errors import ConfigurationError
from runner.modes.run import run
from runner.records.metrics import read_metrics
from runner.trackers.base import NoTracker

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

QUICK = ["mode=fit", "model=mlp", "model.hidden_units=[8]", "train.epochs=2", "loader.workers=1", "data.limit=40"]
SGD = "train.optimizer.name=sgd"


@pytest.fixture
def quick(digits_root):
    return lambda *overrides: compose([f"data.root={digits_root}", *QUICK, SGD, *overrides])


class Told:
    """A tracker that notes what it is told, and raises at the calls named in `failing`."""

    def __init__(self, *failing):
        self.calls, self.failing = [], failing

    def _note(self, name, *values):
        self.calls.append((name, *values))
        if name in self.failing:
            raise OSError(f"{name} failed\nwith more lines")

    def begin(self, run):
        self._note("begin", run)
        return {"id": "7"}

    def epoch(self, epoch, row):
        self._note("epoch", epoch, row)

    def end(self, run):
        self._note("end", run)


@pytest.fixture
def tracked(monkeypatch):
    def build(*failing):
        told = Told(*failing)
        monkeypatch.setattr(NoTracker, "build", lambda self: told)
        return told

    return build


def test_tracker_receives_the_whole_run(quick, folder, tracked):
    told = tracked()
    named = ["name=first try", "tags=[old,small]", "note='with fewer weights, at last'"]
    record = run(quick("mode=run", *named), folder=folder)
    (_, beginning), (_, one, first), (_, two, second), (_, ending) = told.calls
    assert beginning.folder == folder and beginning.kept == {}
    assert beginning.parameters["train.epochs"] == 2 and beginning.parameters["data.augment.flip"] is None
    assert beginning.tags["run_folder"] == str(folder)
    assert (beginning.title, beginning.words) == ("first try", ("old", "small"))
    assert beginning.note == "with fewer weights, at last"
    assert [{"epoch": one, **first}, {"epoch": two, **second}] == read_metrics(folder)
    assert ending.status == "completed"
    assert ending.results["evaluate.accuracy"] == record.document["results"]["evaluate"]["accuracy"]
    assert [file.name for file in ending.files] == ["config.yaml", "metrics.csv", "report.html"]
    assert record.document["tracker"] == {"none": {"id": "7"}}


@pytest.mark.parametrize("failing", [("begin", "epoch", "end"), ("epoch", "end"), ("end",)])
def test_tracker_failure_is_reported_once(quick, folder, tracked, capsys, failing):
    told = tracked(*failing)
    assert run(quick(), folder=folder).document["status"] == "completed"
    assert told.calls[-1][0] == failing[0]
    message = "tracker=none failed, and is disabled for the rest of this run"
    assert capsys.readouterr().out.count(f"{message}: OSError: {failing[0]} failed\n") == 1
    log = (folder / "run.log").read_text()
    assert log.count(message) == 1 and "with more lines" in log


def test_tracker_receives_a_failed_run(quick, folder, tracked):
    told = tracked()
    with pytest.raises(ConfigurationError, match="monitor"):
        run(quick("train.monitor=nothing"), folder=folder)
    name, ending = told.calls[-1]
    assert (name, ending.status) == ("end", "failed")


def test_check_is_not_tracked(quick, folder, tracked):
    told = tracked()
    run(quick("mode=check"), folder=folder)
    assert told.calls == []


def test_resume_hands_back_what_the_tracker_kept(quick, folder, tracked):
    tracked()
    run(quick(), folder=folder)
    told = tracked()
    run(compose([f"resume={folder}", "train.epochs=3"]))
    assert told.calls[0][1].kept == {"id": "7"}
    assert [call[1] for call in told.calls if call[0] == "epoch"] == [3]


def test_run_writes_event_files(quick, folder):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("tensorboardX")
    record = run(quick("tracker=tensorboard"), folder=folder)
    run(compose([f"resume={folder}", "train.epochs=3"]))
    events = reader.EventAccumulator(record.document["tracker"]["tensorboard"]["log_dir"]).Reload()
    assert [event.step for event in events.Scalars("val_loss")] == [1, 2, 3]
