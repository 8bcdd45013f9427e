"""A sweep over folds: the predictions of each sample by the model that never saw it, in one table."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from runner import compose
from runner.commands.prepare_sweep import prepare_sweep
from runner.commands.sweep_folder import add_jobs, begin_plan, report_end
from runner.errors import ConfigurationError, DataError
from runner.modes.run import run
from runner.sweeps.members import runs_to_use
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


@pytest.fixture(scope="module")
def swept(tmp_path_factory, digits_root, eager):
    """The folder of a sweep over two folds of some digits, and the ids that each job validated on."""
    folder = tmp_path_factory.mktemp("swept")
    keys = [f"data.root={digits_root}", "data.limit=40", "data.folds=2", "data.test_split=0.2", "model=mlp"]
    sweep = prepare_sweep([*keys, "data.fold=0,1", "train.epochs=1", "loader.workers=1", "model.hidden_units=[4]"])
    plan = add_jobs(begin_plan(sweep, folder, ()), sweep.jobs, {})
    held_out = []
    for number, job in enumerate(sweep.jobs):
        plan.job_folder(number).mkdir()
        run(job.settings, folder=plan.job_folder(number))
        held_out.append(list(job.settings.data.open().splits["validation"].ids))
    report_end(folder)
    return folder, held_out


def test_sweep_predicts_each_sample_once(swept):
    folder, held_out = swept
    table = rows(folder / "out_of_fold.csv")
    assert [row[2] for row in table[1:]] == held_out[0] + held_out[1]
    assert len({row[2] for row in table[1:]}) == 80
    assert "| 2 of 2 |" in (folder / "summary.md").read_text()


def use(folder, sweep, *overrides):
    folder.mkdir()
    return run(compose([f"from_run={sweep}", *overrides]), folder=folder)


def test_models_of_a_sweep_are_averaged(swept, tmp_path):
    sweep, _ = swept
    record = use(tmp_path / "mean", sweep, "mode=predict")
    tables = [rows(folder / "predictions.csv") for folder in (tmp_path / "mean", sweep / "0", sweep / "1")]
    mean, first, second = (np.array([row[3:] for row in table[1:]], float) for table in tables)
    assert [row[0] for row in tables[0]] == [row[0] for row in tables[1]]
    assert mean == pytest.approx((first + second) / 2, abs=1e-6)
    used = record.document["from_run"]
    assert (used["path"], [one["path"] for one in used["models"]]) == (str(sweep), [f"{sweep}/0", f"{sweep}/1"])
    assert record.document["results"]["predict"] == {"split": "test", "models": 2}


def test_averaged_samples_must_be_new(swept, tmp_path):
    sweep, _ = swept
    with pytest.raises(ConfigurationError, match="split must be test for the models of a sweep, got validation"):
        use(tmp_path / "a", sweep, "mode=predict", "split=validation")
    with pytest.raises(ConfigurationError, match="mode=evaluate needs one run, got the sweep"):
        use(tmp_path / "b", sweep, "mode=evaluate")
    with pytest.raises(DataError, match="must not have been trained on the samples: .* were training samples"):
        use(tmp_path / "c", sweep, "mode=predict", "data.test_split=0", "data.limit=null")


def test_best_setting_of_a_sweep_is_used(folds, root):
    results = folds()
    for number, loss in enumerate((0.5, 0.4, 0.3)):
        folder = results.plan.job_folder(number)
        (folder / "model.keras").touch()
        (folder / "metrics.csv").write_text(f"epoch,loss,val_loss\n1,1.0,{loss}\n")
        document = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**document, "data": {"heads": []}}))
    assert [each.path.name for each in runs_to_use(results.plan.folder)] == ["2"]
    replace(results.plan, varied=("loader",)).write()
    with pytest.raises(ConfigurationError, match="a sweep over seed or data.fold, got .* no repetitions; give one"):
        runs_to_use(results.plan.folder)
