"""Searches: trials are proposed one by one, checked, run once each, and gone on with after an interruption."""

import csv
import json
import re
import shutil
import sqlite3
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from runner.errors import ConfigurationError
from runner.sweeps.sweep_plan import read_sweep

pytestmark = pytest.mark.usefixtures("empty_pages", "forked")  # no test here looks at one

NEEDS_OPTUNA = pytest.mark.skipif(find_spec("optuna") is None, reason="Optuna is not installed")
METHODS = ["random", pytest.param("optuna", marks=NEEDS_OPTUNA)]
KEY = "data.split_seed"
EPOCHS = "train.epochs=1,2"
RANGE = f"{KEY}=choice(1,2,3,4,5,6)"


def tried(folder):
    return [job.varied[KEY] for job in read_sweep(folder).jobs]


@pytest.mark.parametrize("method", METHODS)
def test_search_tries_the_requested_number(method, hydra_files, sweep, capsys):
    code, folder = sweep(
        f"sweep.search={method}", "sweep.trials=3", "data.split_seed=int(interval(1,6))", "loader=generator,sequence"
    )
    assert code == 0
    plan = read_sweep(folder)
    assert len(plan.jobs) == 3
    assert {job.varied[KEY] for job in plan.jobs} <= set(range(1, 7))
    best = min(plan.jobs, key=lambda job: job.varied[KEY])
    printed = capsys.readouterr().out
    assert f"the best is job {best.number}: python -m runner {' '.join(best.overrides)}\n" in printed
    with (folder / "sweep.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]
    assert losses == sorted(losses)
    assert "sorted by val_loss, lowest first" in (folder / "summary.md").read_text()


def test_more_trials_divide_data_as_the_first(here, sweep):
    _, folder = sweep("sweep.search=random", "sweep.trials=1", RANGE)
    first, second = (folder / "frozen" / number / "config.yaml" for number in "01")
    first.write_text(first.read_text().replace("  stratify: true\n", ""))  # as the version before wrote it
    assert sweep("sweep.resume=latest", "sweep.trials=2") == (0, folder)
    assert "  stratify: false\n" in second.read_text()
    assert read_sweep(folder).config(0)["data"]["stratify"] is False


@pytest.mark.parametrize("method", METHODS)
def test_interrupted_search_ends_like_a_whole_one(method, here, sweep):
    typed = [f"sweep.search={method}", "data.split_seed=int(interval(11,1000000))", "sweep.seed=3"]
    _, folder = sweep(*typed, "sweep.trials=2")
    before = (folder / "0/run.json").stat().st_mtime_ns
    first = tried(folder)
    code, same = sweep("sweep.resume=latest", "sweep.trials=3")
    assert (code, same) == (0, folder)
    assert tried(folder)[:2] == first
    assert (folder / "0/run.json").stat().st_mtime_ns == before
    once_more = tried(folder)
    shutil.rmtree(folder.parent)
    _, again = sweep(*typed, "sweep.trials=3")
    assert tried(again) == once_more


def test_failed_trials_are_reported(sweep, capsys):
    code, folder = sweep(
        "sweep.search=random", "sweep.trials=5", "data.split_seed=choice(1,7,9)", "train.epochs=range(1,9)"
    )
    assert code == 0
    assert {7, 9} & set(tried(folder))
    printed = capsys.readouterr()
    assert "failed: " in printed.out
    assert printed.err == ""


def test_refused_proposal_is_a_failed_trial(sweep, capsys):
    code, folder = sweep(
        "sweep.search=random", "sweep.trials=5", "train.epochs=int(interval(-9,9))", "data.split_seed=1"
    )
    jobs = read_sweep(folder).jobs
    refused = [job for job in jobs if job.refused]
    assert code == 0
    assert refused and len(refused) < len(jobs) == 5
    assert all((int(job.varied["train.epochs"]) < 1) == (job.refused is not None) for job in jobs)
    assert all("train.epochs must be" in job.refused for job in refused)
    assert not any((folder / str(job.number)).exists() for job in refused)
    number = refused[0].number
    assert f"job {number} failed: train.epochs must be" in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS)
def test_equal_configurations_run_once(method, sweep):
    code, folder = sweep(f"sweep.search={method}", "sweep.trials=3", "data.split_seed=choice(1,2)")
    assert code == 0
    jobs = read_sweep(folder).jobs
    run = [job.number for job in jobs if job.same_as is None]
    assert len(run) <= 2 and len(jobs) == 3
    assert sorted(int(file.parent.name) for file in folder.glob("[0-9]/run.json")) == run


def test_optuna_knows_what_each_trial_came_to(sweep):
    optuna = pytest.importorskip("optuna")
    _, folder = sweep(
        "sweep.search=optuna", "sweep.trials=6", "data.split_seed=choice(1,2,7)", "sweep.objective=evaluate.accuracy"
    )
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/search.db")
    try:
        study = optuna.load_study(study_name="search", storage=storage)
        assert study.direction == optuna.study.StudyDirection.MAXIMIZE
        values = {7: None, 1: 0.9, 2: 0.8}
        assert [trial.value for trial in study.trials] == [values[seed] for seed in tried(folder)]
        assert {trial.state.name for trial in study.trials} == {"COMPLETE", "FAIL"}
    finally:
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.parametrize("method", METHODS)
def test_killed_trial_is_resumed_and_counted(method, here, sweep):
    _, folder = sweep(f"sweep.search={method}", "sweep.trials=2", "data.split_seed=8", "train.epochs=choice(1,2,3)")
    killed = [job.number for job in read_sweep(folder).distinct]
    assert {json.loads((folder / f"{number}/run.json").read_text())["status"] for number in killed} == {"running"}
    code, _ = sweep(f"sweep.resume={folder}")
    assert code == 0
    assert all((folder / f"{number}/again").exists() for number in killed)


def test_unstarted_trial_is_run_by_resume(sweep):
    _, folder = sweep("sweep.search=random", "sweep.trials=2", "data.split_seed=int(interval(11,99999))")
    shutil.rmtree(folder / "1")
    sweep(f"sweep.resume={folder}")
    assert (folder / "1/run.json").exists()


def test_proposal_survives_a_kill(sweep):
    pytest.importorskip("optuna")
    _, folder = sweep("sweep.search=optuna", "sweep.trials=2", "data.split_seed=int(interval(11,99999))")
    plan, last = read_sweep(folder), tried(folder)[1]
    replace(plan, jobs=plan.jobs[:1]).write()
    shutil.rmtree(folder / "1")
    sweep(f"sweep.resume={folder}")
    assert tried(folder)[1] == last
    with sqlite3.connect(folder / "search.db") as database:
        assert database.execute("select count(*) from trials").fetchone() == (2,)
    database.close()


def test_search_without_any_value_fails(sweep, capsys):
    code, _ = sweep("sweep.search=random", "sweep.trials=2", "data.split_seed=choice(7,7)")
    assert code == 1
    assert "error: no trial has a value of loss" in capsys.readouterr().err


def test_search_for_a_missing_column_ends_early(sweep, capsys):
    code, folder = sweep("sweep.search=random", "sweep.trials=9", "data.split_seed=choice(1,2,3,4,5)",
                         "sweep.objective=evaluate.acuracy", "sweep.goal=max")  # fmt: skip
    assert code == 1
    assert len(read_sweep(folder).jobs) == 1
    printed = capsys.readouterr()
    names = "; a job has loss, val_loss, evaluate.accuracy, images_per_second, "
    assert f"error: no trial has a value of evaluate.acuracy{names}" in printed.err
    assert printed.err.endswith("; did you mean 'evaluate.accuracy'?\n")
    assert f"no job has evaluate.acuracy (sweep.objective){names}" in printed.out


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["seed=1"], "sweep.search must have a range to search, got none"),
        (["train.epochs=interval(3,1)"], "must go from a smaller to a larger number"),
        (["train.learning_rate=tag(log,interval(0,1))"], "must begin above 0"),
        (["train.learning_rate=tag(half,interval(0.1,1))"], "must have no tag other than log, got half"),
        (["train.learning_rat=interval(0.1,1)"], "unknown key 'train.learning_rat'"),
        (["train.learning_rate=interval(-3,-1)"], "train.learning_rate must be"),
        (["train.epochs=1,2", "train.epochs=interval(1,2)"], "train.epochs must be given once in a search, got 2"),
        (["seed=0,1,2"], "sweep.search must have a range to search, got only seed=0,1,2; add one"),
        (
            [EPOCHS, "seed=range(0,3)"],
            "seed=range(0,3) must list its values: a search never searches seed, since the easiest would win; write "
            "seed=0,1,2 to run each trial with all of them",
        ),
        ([EPOCHS, "data.folds=5", "data.fold=int(interval(0,4))"], "must list its values: a search never searches "),
        ([EPOCHS, "seed=4,2,4"], "seed=4,2,4 must list each value once, got 4 2 times"),
        ([EPOCHS, "data.folds=3", "data.fold=0,1,3"], "fold must be from 0 to 2 with folds=3, got 3"),
        (["seed=1,2", "sweep.paired=[[seed,model]]"], "sweep.paired cannot be combined with sweep.search"),
    ],
)
def test_unsearchable_ranges_are_refused(typed, message, here, sweep):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        sweep("sweep.search=random", *typed)
    assert not (here / "outputs").exists()


def test_resumed_search_keeps_its_objective(sweep):
    _, folder = sweep("sweep.search=random", "sweep.trials=2", RANGE)
    with pytest.raises(ConfigurationError, match="sweep.trials must be at least 2, the trials that"):
        sweep(f"sweep.resume={folder}", "sweep.trials=1")
    with pytest.raises(ConfigurationError, match="sweep.objective must stay the one of"):
        sweep(f"sweep.resume={folder}", "sweep.objective=loss")


def test_missing_optuna_explains_installation(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'keras-runner\[optuna\]', or use sweep.search=random"):
        sweep("sweep.search=optuna", RANGE)
    assert not Path("outputs").exists()


def test_search_extensions_must_be_given_again(sweep):
    Path("mine_searched.py").write_text("def build(): ...\n")
    typed = ["extensions=[mine_searched]", "model=custom", "model.target=mine_searched.build"]
    _, folder = sweep("sweep.search=random", "sweep.trials=1", RANGE, *typed)
    with pytest.raises(ConfigurationError, match=r"with extensions=\[\]; add 'extensions=\[mine_searched\]'"):
        sweep(f"sweep.resume={folder}", "sweep.trials=2")
    assert len(read_sweep(folder).jobs) == 1
    assert sweep(f"sweep.resume={folder}", "sweep.trials=2", "extensions=[mine_searched]") == (0, folder)
    assert [job.refused for job in read_sweep(folder).jobs] == [None] * 2
    assert sweep(f"sweep.resume={folder}") == (0, folder)  # there is nothing left to try
