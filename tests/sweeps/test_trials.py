"""Trials of several jobs: a search over folds and seeds, whose mean counts."""

import csv
import json
import re
import shutil
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from runner.commands import search
from runner.errors import ConfigurationError
from runner.records.columns import Objective
from runner.reports.sweep_page import render_sweep
from runner.sweeps import members
from runner.sweeps.members import runs_to_use
from runner.sweeps.pruning import MeanPruner
from runner.sweeps.results import read_results
from runner.sweeps.results_table import notes, over_repeats, unfinished_lines, write_files
from runner.sweeps.searchers import Choices, OptunaSearch
from runner.sweeps.sweep_plan import PlannedJob, SearchPlan, SweepPlan, read_sweep
from runner.sweeps.trials import best_trial, trials_of

NAME = "2026-01-03_00-00-00_cccccc"
RATES, FOLDS = (0.1, 0.2, 0.3), (0, 1)
VARIED = ("data.fold", "train.learning_rate")


@pytest.fixture
def searched(make, root):
    """A search of two folds for each trial, which come to these losses; None: a job that did not run."""

    def write(*losses, **changes):
        jobs = []
        for number, loss in enumerate(losses):
            fold, rate = number % 2, RATES[number // 2]
            overrides = ("data.folds=2", f"data.fold={fold}", f"train.learning_rate={rate}")
            jobs.append(PlannedJob(number, overrides, dict(zip(VARIED, (fold, rate), strict=True))))
            if loss is not None:
                status = "failed" if loss == "failed" else "completed"
                more = {"data": {"folds": 2, "fold": fold}}
                make(f"{NAME}/{number}", losses=(0.5 if status == "failed" else loss,), status=status, more=more)
        plan = SearchPlan("optuna", len(jobs) // 2, 0, (), members=2)
        planned = [PlannedJob(**vars(job) | changes.get(f"job{job.number}", {})) for job in jobs]
        (root / "sweeps" / NAME).mkdir(parents=True, exist_ok=True)
        SweepPlan(root / "sweeps" / NAME, ("-m",), VARIED, tuple(planned), search=plan).write()
        return read_results(root / "sweeps" / NAME)

    return write


def test_best_trial_has_the_best_mean(searched, monkeypatch):
    monkeypatch.setattr(members, "run_to_use", lambda path: SimpleNamespace(path=path, heads=()))  # there are no models
    results = searched(0.1, 0.9, 0.3, 0.4, 0.2, None)  # the first has the easiest fold, the last lacks one
    assert [trial.status for trial in trials_of(results)] == ["completed", "completed", "unfinished"]
    assert best_trial(results).number == 1
    assert [run.path.name for run in runs_to_use(results.plan.folder)] == ["2", "3"]
    columns, rows = over_repeats(results)
    assert columns[:4] == ["trial", "train.learning_rate", "n", "val_loss"]
    assert [row[:3] for row in rows] == [["1", "0.2", "2 of 2"], ["0", "0.1", "2 of 2"], ["2", "0.3", "1 of 2"]]
    assert rows[0][3] == "0.4500 ± 0.0707"
    told = list(notes(results))
    assert told[1] == "3 trials of 2 jobs each: 2 completed, 1 unfinished"
    best = "the best is trial 1, jobs 2 to 3; without their folds: python -m runner train.learning_rate=0.2"
    assert told[-1] == best
    page = render_sweep(results)
    assert "Best by lowest val_loss: trial 1 (train.learning_rate=0.2)" in page
    assert "0.4500 ±\N{NO-BREAK SPACE}0.0707" in page


def test_failed_job_fails_its_trial(searched):
    results = searched("failed", None, 0.3, 0.4, job1={"skipped": "job 0 of its trial failed"})
    assert [trial.status for trial in trials_of(results)] == ["failed", "completed"]
    (line,) = unfinished_lines(results)
    assert line.startswith("trial 0 failed with its job 0: ValueError: no (")
    write_files(results)
    with (results.plan.folder / "sweep.csv").open() as file:
        rows = {row["job"]: (row["status"], row["error"]) for row in csv.DictReader(file)}
    assert rows["1"] == ("not run", "job 0 of its trial failed")


def test_search_without_a_whole_trial_is_refused(searched):
    results = searched(0.1, None)
    with pytest.raises(ConfigurationError, match="from_run must be a sweep with completed trials, got "):
        runs_to_use(results.plan.folder)


@pytest.mark.skipif(find_spec("optuna") is None, reason="Optuna is not installed")
def test_mean_so_far_prunes_a_trial(searched, tmp_path):
    searcher = OptunaSearch(tmp_path, {"rate": Choices(("1", "2"))}, 0, "min")
    for number in range(5):
        searcher.propose(number)
        for count, value in enumerate((0.2, 0.3), 1):
            searcher.report(number, count, value)
        searcher.finish(number, 0.3)
    results = searched(*[None] * 4)
    (trial, other), objective = trials_of(results), Objective("val_loss", "min")
    reason = partial(MeanPruner(searcher).reason, objective=objective)
    try:
        for number in (5, 6):
            searcher.propose(number)
        of = [type(trial)(5, trial.jobs), type(other)(6, other.jobs)]
        assert reason(of[0]) is None  # nothing is known of it
        searched(0.05, None, 0.15, None)
        trial, other = trials_of(results)
        assert reason(type(trial)(5, trial.jobs)) is None
        why = reason(type(other)(6, other.jobs))
    finally:
        searcher.close()
    assert why == (
        "pruned after 1 of 2 jobs of the trial: their mean val_loss, 0.25, is worse than the median of earlier trials"
    )


SEARCH = ["sweep.search=random", "data.split_seed=choice(1,2)", "seed=3,1"]


def test_trial_runs_with_all_listed_seeds(sweep, capsys, empty_pages):
    code, folder = sweep(*SEARCH, "sweep.trials=3")
    assert code == 0
    jobs = read_sweep(folder).jobs
    assert [job.varied["seed"] for job in jobs] == [3, 1] * 3
    assert [len({job.varied["data.split_seed"] for job in jobs[at : at + 2]}) for at in (0, 2, 4)] == [1] * 3
    assert sum(job.same_as is None for job in jobs) == 4  # one trial equals an earlier one
    printed = capsys.readouterr().out
    assert ": 3 trials of 2 jobs (random), 6 to run\n" in printed
    assert ", ".join(["2 of 2"] * 2) == ", ".join(re.findall(r"\d of \d", printed))
    assert "without their seeds: python -m runner data.split_seed=1\n" in printed


def test_resume_runs_what_a_trial_lacks(sweep, capsys, empty_pages):
    _, folder = sweep(*SEARCH, "sweep.trials=1")
    before = (folder / "0/run.json").stat().st_mtime_ns
    shutil.rmtree(folder / "1")
    assert sweep(f"sweep.resume={folder}", "sweep.trials=2") == (0, folder)
    assert "2 trials of 2 jobs (random), 3 to run\n" in capsys.readouterr().out
    assert (folder / "0/run.json").stat().st_mtime_ns == before
    assert [trial.status for trial in trials_of(read_results(folder))] == ["completed"] * 2


def test_no_job_follows_a_failed_one(sweep, empty_pages):
    code, folder = sweep("sweep.search=random", "data.split_seed=choice(4,6)", "seed=1,3,2", "sweep.trials=2")
    assert code == 1  # there is no whole trial
    for trial in trials_of(read_results(folder)):
        expected = {4: ["completed", "failed", "not run"], 6: ["failed", "not run", "not run"]}
        assert [job.status for job in trial.jobs] == expected[trial.jobs[0].planned.varied["data.split_seed"]]


def test_pruned_trial_runs_no_further_job(sweep, monkeypatch, empty_pages):
    class Strict(MeanPruner):
        def reason(self, trial, objective):
            return f"only {len(values)}" if 0 < len(values := trial.values(objective)) < 3 else None

    pytest.importorskip("optuna")
    monkeypatch.setattr(search, "MeanPruner", Strict)
    typed = ["sweep.search=optuna", "sweep.prune=true", "data.split_seed=choice(1,1)", "seed=1,2,3", "sweep.trials=1"]
    code, folder = sweep(*typed)
    assert code == 1  # there is no whole trial
    assert [job.status for job in trials_of(read_results(folder))[0].jobs] == ["completed", "pruned", "pruned"]
    assert [job["pruned"] for job in json.loads((folder / "sweep.json").read_text())["jobs"]] == [None, *["only 1"] * 2]
    assert not (folder / "1").exists()
