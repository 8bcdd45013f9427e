"""A sweep over folds: the predictions of each sample by the model that never saw it, in one table."""

import csv

import pytest

from runner.commands.prepare_sweep import prepare_sweep
from runner.commands.sweep_folder import add_jobs, begin_plan, report_end
from runner.modes.run import run
from runner.settings import Settings
from runner.sweeps.out_of_fold import fold_notes, write_out_of_fold
from runner.sweeps.results import read_results
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan

pytestmark = pytest.mark.usefixtures("empty_pages")
NAME = "2026-01-03_00-00-00_cccccc"


@pytest.fixture
def folds(make, root):
    """Writes a sweep of two loaders over folds 0 and 1 of 3; the last job failed."""

    def write(split="validation", file="predictions.csv"):
        jobs = [(loader, fold) for loader in ("generator", "sequence") for fold in (0, 1)]
        for number, (loader, fold) in enumerate(jobs):
            folder = make(f"{NAME}/{number}", loader=loader, status="failed" if number == 3 else "completed")
            with (folder / "config.yaml").open("a") as config:
                config.write(f"data: {{kind: digits, folds: 3, fold: {fold}}}\n")
            document = (folder / "run.json").read_text()
            (folder / "run.json").write_text(
                document.replace('"results": {', f'"results": {{"predict": {{"split": "{split}"}}, ')
            )
            (folder / file).write_text(f"id,predicted\n'=a{fold}.png,cat\nb{fold}.png,dog\n")
        planned = [PlannedJob(n, (), {"loader": loader, "data.fold": fold}) for n, (loader, fold) in enumerate(jobs)]
        plan = SweepPlan(root / "sweeps" / NAME, (), ("loader", "data.fold"), tuple(planned))
        plan.write()
        return read_results(plan.folder)

    return write


def rows(file):
    with file.open() as opened:
        return list(csv.reader(opened))


@pytest.mark.parametrize(("split", "file"), [("validation", "predictions.csv"), ("test", "fold_predictions.csv")])
def test_predictions_of_all_folds_are_joined(folds, split, file):
    (table,) = write_out_of_fold(folds(split, file))
    assert rows(table) == [
        ["loader", "job", "fold", "id", "predicted"],
        *(
            [loader, str(job), str(fold), f"{name}{fold}.png", label]
            for job, (loader, fold) in enumerate([("generator", 0), ("generator", 1), ("sequence", 0)])
            for name, label in (("'=a", "cat"), ("b", "dog"))
        ),
    ]


def test_missing_folds_are_named(folds):
    assert list(fold_notes(folds())) == [
        "out_of_fold.csv has no predictions of fold 2 of loader=generator",
        "out_of_fold.csv has no predictions of folds 1, 2 of loader=sequence",
    ]


def test_other_columns_count_as_missing(folds):
    results = folds()
    file = results.plan.job_folder(1) / "predictions.csv"
    file.write_text(file.read_text().replace("predicted", "p_predicted"))
    assert next(fold_notes(results)) == "out_of_fold.csv has no predictions of folds 1, 2 of loader=generator"
    assert [row[1] for row in rows(*write_out_of_fold(results))] == ["job", "0", "0", "2", "2"]


def test_predictions_of_the_test_are_not_taken(folds):
    assert write_out_of_fold(folds("test")) == []


def test_sweep_predicts_each_sample_once(tmp_path, digits_root, eager, capsys):
    keys = [f"data.root={digits_root}", "data.limit=40", "data.folds=2", "data.test_split=0.2", "model=mlp"]
    sweep = prepare_sweep([*keys, "data.fold=0,1", "train.epochs=1", "loader.workers=1", "model.hidden_units=[4]"])
    plan = add_jobs(begin_plan(sweep, tmp_path, ()), sweep.jobs, {})
    held_out = []
    for job in sweep.jobs:
        folder = plan.job_folder(len(held_out))
        folder.mkdir()
        assert isinstance(job.settings, Settings)
        run(job.settings, folder=folder)
        held_out.append(list(job.settings.data.open().splits["validation"].ids))
    report_end(tmp_path)
    table = rows(tmp_path / "out_of_fold.csv")
    assert [row[2] for row in table[1:]] == held_out[0] + held_out[1]
    assert len({row[2] for row in table[1:]}) == 80
    assert "n" in capsys.readouterr().out.split("2 of 2")[0]
