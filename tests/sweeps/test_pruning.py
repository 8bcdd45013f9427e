"""Trials that promise too little: judged epoch by epoch, ended with their state, told, and not run again."""

import csv
import json
from importlib.util import find_spec

import pytest

from runner.errors import ConfigurationError
from runner.records.columns import Objective
from runner.records.config_yaml import write_config
from runner.records.metrics import MetricsTable
from runner.records.run_folder import RunFolder
from runner.sweeps.pruning import Pruner
from runner.sweeps.results import read_results
from runner.sweeps.sweep_plan import read_sweep

pytestmark = pytest.mark.usefixtures("empty_pages", "forked")  # one test looks at one

NEEDS_OPTUNA = pytest.mark.skipif(find_spec("optuna") is None, reason="Optuna is not installed")
PRUNED = ["sweep.search=optuna", "sweep.prune=true", "seed=0", "train.epochs=3", "train.learning_rate=interval(0.1,1)"]
WHY = "pruned after epoch 1: its best val_loss, 5, is worse than the median of earlier trials"


def told(folder):
    return {job.planned.number: job.status for job in read_results(folder).jobs}


@NEEDS_OPTUNA
def test_pruned_trials_save_state_without_failing(sweep, drawn, capsys):
    code, folder = sweep(*PRUNED, "sweep.trials=7", "sweep.fail_fast=true")
    assert code == 0
    assert told(folder) == dict.fromkeys(range(5), "completed") | {5: "pruned", 6: "pruned"}
    assert json.loads((folder / "5/run.json").read_text())["status"] == "interrupted"
    assert (folder / "5/output.log").read_text().endswith("\nsweep: pruned; sweep.csv has the reason\n")
    printed = capsys.readouterr()
    assert "7 jobs: 5 completed, 2 pruned; sorted by val_loss, lowest first" in printed.out
    assert ("pruned after" in printed.out, printed.err) == (False, "")
    with (folder / "sweep.csv").open() as file:
        rows = {row["job"]: (row["status"], row["error"]) for row in csv.DictReader(file)}
    assert (rows["0"], rows["5"]) == (("completed", ""), ("pruned", WHY))
    page = (folder / "report.html").read_text()
    assert '<span class="status completed">5 completed, 2 pruned</span>' in page
    assert WHY in page


@NEEDS_OPTUNA
def test_optuna_knows_epochs_and_pruned_trials(sweep):
    import optuna

    _, folder = sweep(*PRUNED, "sweep.trials=6")
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/search.db")
    try:
        trials = optuna.load_study(study_name="search", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 5 + ["PRUNED"]
    assert [trial.intermediate_values for trial in trials[:5]] == [{1: 1.0, 2: 1 / 2, 3: 1 / 3}] * 5
    assert trials[5].intermediate_values[1] == 5.0


@NEEDS_OPTUNA
def test_resume_skips_pruned_trials(here, sweep, capsys):
    _, folder = sweep(*PRUNED, "sweep.trials=6")
    before = (folder / "5/run.json").stat().st_mtime_ns
    (here / "mended").touch()
    code, _ = sweep(f"sweep.resume={folder}", "sweep.trials=7")
    assert code == 0
    assert "7 trials (optuna), 1 to run" in capsys.readouterr().out
    assert told(folder) == dict.fromkeys([0, 1, 2, 3, 4, 6], "completed") | {5: "pruned"}
    assert (folder / "5/run.json").stat().st_mtime_ns == before
    assert read_sweep(folder).search.prune


@NEEDS_OPTUNA
def test_without_pruning_every_trial_is_completed(here, sweep):
    (here / "job.py").write_text((here / "job.py").read_text().replace("0.2 if epoch == 1 else 30", "0.4"))
    _, folder = sweep(*(word for word in PRUNED if "prune" not in word), "sweep.trials=6")
    assert set(told(folder).values()) == {"completed"}


@NEEDS_OPTUNA
def test_objective_missing_in_epochs_is_reported(sweep, capsys):
    code, folder = sweep(*PRUNED, "sweep.trials=1", "sweep.objective=val_top_accuracy")
    assert code == 1
    assert "no trial could be pruned: metrics.csv has no column val_top_accuracy\n" in capsys.readouterr().out
    assert told(folder) == {0: "completed"}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            ["sweep.search=random"],
            "prune needs sweep.search=optuna, .*, got sweep.search=random; set sweep.search=optuna",
        ),
        ([], "prune needs sweep.search=optuna, .*, got sweep.search=null; .*, or leave prune out"),
        (
            ["sweep.search=optuna", "sweep.objective=evaluate.accuracy"],
            "prune needs an objective that every epoch has, a column of metrics.csv, got evaluate.accuracy; "
            "use one such as val_loss or val_accuracy",
        ),
    ],
)
def test_unprunable_sweep_is_refused(typed, message, here, sweep):
    with pytest.raises(ConfigurationError, match=message):
        sweep(*typed, "sweep.prune=true", "seed=choice(1,2)")
    assert not (here / "outputs").exists()


def test_resumed_search_prunes_as_it_did(here, sweep):
    with pytest.raises(
        ConfigurationError, match="prune cannot be combined with sweep.resume, which continues as the sweep began"
    ):
        sweep("sweep.resume=latest", "sweep.prune=true")


class ThresholdSearcher:
    """Prunes trials from an epoch on, and records what was reported."""

    def __init__(self, *, after):
        self.after, self.reported = after, []

    def report(self, number, epoch, value):
        self.reported.append((epoch, value))

    def should_prune(self, number):
        return self.reported[-1][0] >= self.after


@pytest.fixture
def learnt(tmp_path):
    """The run of a trial of so many epochs that has come to these rows."""

    def write(*rows, epochs=4, validation_every=1):
        folder = tmp_path / f"of {len(rows)} epochs"
        folder.mkdir()
        write_config(folder, {"train": {"epochs": epochs, "validation_every": validation_every}})
        table = MetricsTable(folder)
        for epoch, values in enumerate(rows, 1):
            table.append(epoch, values)
        return RunFolder(folder)

    return write


def objective(run):
    return Objective("val_loss" if any("val_loss" in row for row in run.metrics) else "loss", "min")


def test_late_epochs_are_checked_in_order(learnt):
    searcher = ThresholdSearcher(after=2)
    why = Pruner(searcher, objective).reason(0, learnt({"loss": 3.0}, {"loss": 4.0}, {"loss": 1.0}))
    assert searcher.reported == [(1, 3.0), (2, 4.0)]
    assert why == "pruned after epoch 2: its best loss, 3, is worse than the median of earlier trials"


def test_fully_trained_trial_is_not_pruned(learnt):
    searcher = ThresholdSearcher(after=2)
    assert Pruner(searcher, objective).reason(0, learnt({"loss": 3.0}, {"loss": 4.0}, epochs=2)) is None
    assert searcher.reported == [(1, 3.0), (2, 4.0)]


def test_early_epochs_use_no_other_column(learnt):
    searcher = ThresholdSearcher(after=9)
    pruning = Pruner(searcher, objective)
    pruning.report(0, learnt({"loss": 3.0}, validation_every=2))
    assert searcher.reported == []
    pruning.report(0, learnt({"loss": 3.0}, {"loss": 2.0, "val_loss": 2.5}, validation_every=2))
    assert searcher.reported == [(2, 2.5)]
