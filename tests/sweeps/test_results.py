"""A sweep read from its files: order, spread over seeds, whether loaders agree."""

import csv
import json
from dataclasses import replace
from statistics import mean, stdev
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner import report
from runner.records.columns import Objective, goal_of_column
from runner.reports.sweep_page import write_sweep_report
from runner.sweeps.results import SweepResults, read_results
from runner.sweeps.results_table import (
    agreements,
    header,
    notes,
    over_repeats,
    report_results,
    unfinished_lines,
    write_files,
)
from runner.sweeps.sweep_plan import PlannedJob, SearchPlan, SweepPlan, read_sweep

NAME = "2026-01-03_00-00-00_cccccc"


@pytest.fixture
def planned(make, root):
    """Writes a sweep of these runs, each given as keywords of `make`, and its plan."""

    def write(*jobs, varied=("loader", "seed"), waiting=0, **plan):
        for number, job in enumerate(jobs):
            make(f"{NAME}/{number}", **job)
        told = [
            PlannedJob(number, (), {"loader": job.get("loader", "sequence"), "seed": job.get("seed", 0)})
            for number, job in enumerate([*jobs, *[{}] * waiting])
        ]
        sweep = SweepPlan(root / "sweeps" / NAME, ("-m", "seed=0,1"), varied, tuple(told), **plan)
        sweep.write()
        return read_results(sweep.folder)

    return write


def numbers(results):
    return [job.planned.number for job in results.jobs]


def test_best_job_comes_first(planned):
    results = planned({"losses": (0.5,)}, {"losses": ()}, {"losses": (0.1, 0.9)}, waiting=1)
    assert results.objective == Objective("val_loss", "min")
    assert numbers(results) == [2, 0, 1, 3]
    assert [job.status for job in results.jobs] == ["completed", "completed", "completed", "waiting"]


def test_failed_job_is_never_the_best(planned):
    failed, killed = ({"losses": (loss,), "status": status} for loss, status in ((0.0, "failed"), (0.1, "killed")))
    results = planned(failed, {"losses": (0.5,)}, killed, {"losses": ()})
    assert numbers(results) == [1, 3, 0, 2]
    assert results.best.planned.number == 1


def test_sweep_without_results_has_no_best(planned):
    assert planned({"losses": (0.1,), "status": "failed"}).best is None


@pytest.mark.parametrize(
    ("status", "told"),
    [("interrupted", "pruned"), ("killed", "pruned"), ("completed", "completed"), ("failed", "failed")],
)
def test_pruned_trial_keeps_a_final_status(status, told, planned):
    results = planned({"status": status})
    job = replace(results.plan.jobs[0], pruned="given up")
    (job,) = SweepResults(replace(results.plan, jobs=(job,))).jobs
    assert (job.status, job.error) == (told, {"pruned": "given up", "failed": "ValueError: no"}.get(told))


@pytest.mark.parametrize(
    ("objective", "goal", "order"),
    [("evaluate.accuracy", None, [1, 0]), ("seconds", None, [0, 1]), ("evaluate.accuracy", "min", [0, 1])],
)
def test_objective_may_be_any_column(objective, goal, order, planned):
    results = planned(
        {"accuracy": 0.8, "losses": (0.5,)}, {"accuracy": 0.9, "losses": (0.5, 0.5)}, objective=objective, goal=goal
    )
    assert numbers(results) == order


def test_direction_of_loader_columns_is_known():
    keys = (
        "images_per_second",
        "wait_share",
        "seconds.total",
        "fit.cpu_seconds",
        "val_loss",
        "evaluate.accuracy",
        "f1",
    )
    assert [goal_of_column(key) for key in keys] == ["max", "min", "min", "min", "min", "max", None]


@given(losses=st.lists(st.floats(0.01, 10), min_size=2, max_size=6))
def test_spread_over_seeds_is_that_of_a_sample(losses):
    class Fixed(SweepResults):
        columns = ("val_loss",)
        objective = Objective("val_loss", "min")
        jobs = tuple(SimpleNamespace(planned=PlannedJob(n, (), {}), status="completed") for n in range(len(losses)))

        def values(self, job):
            return [losses[job.planned.number]]

    columns, (row,) = over_repeats(Fixed(SweepPlan(None, (), ("seed",), ())))
    assert (columns, row[0]) == (["n", "val_loss"], len(losses))
    middle, deviation = map(float, row[1].split(" ± "))
    assert middle == pytest.approx(mean(losses), rel=0.001)
    assert deviation == pytest.approx(stdev(losses), abs=mean(losses) / 500)


def test_settings_are_sorted_by_mean(planned):
    results = planned(
        {"loader": "sequence", "seed": 0, "losses": (0.2,)},
        {"loader": "sequence", "seed": 1, "losses": (0.6,)},
        {"loader": "generator", "seed": 0, "losses": (0.3,)},
        {"loader": "generator", "seed": 1, "losses": (0.0,), "status": "failed", "accuracy": None},
    )
    columns, rows = over_repeats(results)
    assert columns[:3] == ["loader", "n", "val_loss"]
    assert [row[:3] for row in rows] == [["generator", 1, 0.4], ["sequence", 2, "0.5000 ± 0.2828"]]
    assert list(unfinished_lines(results)) == [f"job 3 failed: ValueError: no ({results.plan.folder / '3'})"]


def test_folds_are_averaged_and_counted(planned, root):
    results = planned(*({"losses": (loss,)} for loss in (0.2, 0.6, 0.4)), waiting=1)
    for number in range(3):
        file = root / "sweeps" / NAME / str(number) / "config.yaml"
        file.write_text(file.read_text() + f"data: {{folds: 5, fold: {number}}}\n")
    jobs = tuple(PlannedJob(n, (), {"loader": "sequence", "data.fold": n}) for n in range(4))
    columns, rows = over_repeats(SweepResults(replace(results.plan, varied=("loader", "data.fold"), jobs=jobs)))
    assert columns[:3] == ["loader", "n", "val_loss"]
    assert [row[:3] for row in rows] == [["sequence", "3 of 5", "0.5000 ± 0.2000"]]


def test_loaders_with_equal_weights_are_named(planned):
    # `make` takes the digest of the weights from the seed alone.
    agreeing = planned({"loader": "sequence"}, {"loader": "generator"}, {"loader": "generator", "seed": 5})
    assert list(agreements(agreeing.jobs)) == ["2 jobs differ only in the loader: same weights"]


def test_groups_of_equal_jobs_are_counted(planned):
    jobs = ({"loader": loader, "seed": seed} for seed in (0, 5) for loader in ("sequence", "generator"))
    assert list(agreements(planned(*jobs).jobs)) == [
        "4 jobs in 2 groups differ only in the loader within their group: same weights"
    ]


def test_jobs_with_other_weights_are_named(planned, root):
    results = planned({"loader": "sequence"}, {"loader": "generator"})
    file = root / "sweeps" / NAME / "1" / "run.json"
    file.write_text(file.read_text().replace("0" * 64, "1" * 64))
    assert list(agreements(results.jobs)) == [
        "job 1 differs from job 0 only in the loader, but digests.weights are not the same"
    ]


def test_files_hold_only_the_keys_that_vary(planned):
    results = planned({"seed": 0}, {"seed": 1, "losses": (0.1,)}, varied=("seed",))
    table, summary = write_files(results)
    with table.open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["job", "seed", "status", "val_loss", "evaluate.accuracy", "evaluate.loss", "seconds.total",
                       "error", "same_as"]  # fmt: skip
    assert [row[:3] for row in rows[1:]] == [["1", "1", "completed"], ["0", "0", "completed"]]
    assert header(results)[:3] == ["job", "seed", "status"]
    assert summary.read_text().startswith(f"# Sweep {NAME}\n\n    python -m runner -m seed=0,1\n")


def test_jobs_that_a_bad_sample_ended_are_counted(planned, root, capsys):
    results = planned({"seed": 0}, {"seed": 1, "status": "failed"})
    report_results(results)
    assert "a bad sample" not in capsys.readouterr().out
    file = root / "sweeps" / NAME / "1" / "run.json"
    file.write_text(file.read_text().replace("ValueError", "BadSampleError"))
    report_results(read_results(results.plan.folder))
    assert "a bad sample ended 1 job: repair it, or start the sweep again with\n" in capsys.readouterr().out


def test_killed_sweep_can_be_tabled_afterwards(planned, capsys):
    results = planned({"seed": 0}, {"seed": 1, "status": "killed"}, waiting=1)
    assert report.execute([str(results.plan.folder)]) == 0
    assert "3 jobs: 1 completed, 1 killed, 1 waiting" in capsys.readouterr().out
    assert (results.plan.folder / "summary.md").exists()


def test_one_repeated_job_is_reported(planned):
    results = planned({"seed": 0}, {"seed": 1})
    jobs = (*results.plan.jobs, PlannedJob(2, (), {"loader": "sequence", "seed": 0}, same_as=0))
    plan = SweepPlan(results.plan.folder, (), ("loader", "seed"), jobs)
    assert list(notes(SweepResults(plan)))[1] == (
        "1 job equals an earlier one and was not run (a key that the loader does not use is left blank): 2 = 0"
    )


@pytest.mark.parametrize(("key", "value", "compared"), [("target", "mine.other", False), ("workers", 7, True)])
def test_custom_batches_compare_within_one_code(key, value, compared, planned, root):
    results = planned({"loader": "custom"}, {"loader": "custom"})
    file = root / "sweeps" / NAME / "1" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config["loader"][key] = value
    file.write_text(yaml.safe_dump(config))
    assert list(agreements(results.jobs)) == ["2 jobs differ only in the loader: same weights"] * compared


TOOK = {"cpu_seconds": 41.5, "peak_memory_bytes": 812_345_678, "wait": {"first_batch_seconds": 0.0312}}
TITLES = ["images/s", "wait %", "cpu s", "peak MB", "first batch s", "seconds"]
KEYS = [
    "images_per_second", "wait_share", "fit.cpu_seconds", "fit.peak_memory_bytes", "fit.wait.first_batch_seconds",
    "seconds.total",
]  # fmt: skip


@pytest.fixture
def costly(planned, root):
    """A sweep of two seeds, of which the runs tell what they took."""
    results = planned({"seed": 0}, {"seed": 1, "losses": (0.1,)}, varied=("seed",))
    for number in range(2):
        folder = root / "sweeps" / NAME / str(number)
        document = json.loads((folder / "run.json").read_text())
        document["results"]["fit"] = {**TOOK, "cpu_seconds": TOOK["cpu_seconds"] + number}
        document["seconds"]["total"] = 14.812
        (folder / "run.json").write_text(json.dumps(document))
        table = (folder / "metrics.csv").read_text().splitlines()
        added = ["images_per_second,wait_share", *["1687.2,0.0312"] * (len(table) - 1)]
        (folder / "metrics.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(table, added, strict=True)) + "\n")
    return read_results(results.plan.folder)


def test_cost_columns_have_readable_units(costly):
    columns, (row,) = over_repeats(costly)
    assert columns[-6:] == header(costly)[-6:] == TITLES
    assert row[-6:] == ["1,687 ± 0", "3.12 ± 0", "42.00 ± 0.71", "812.3 ± 0", "0.0312 ± 0", "14.81 ± 0"]
    write_files(costly)
    summary = (costly.plan.folder / "summary.md").read_text()
    assert "| 1,687 | 3.12 | 42.5 | 812.3 | 0.0312 | 14.81 |" in summary


def test_sweep_csv_has_exact_keys_and_all_digits(costly):
    table, _ = write_files(costly)
    with table.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert [key for key in first if key in KEYS] == KEYS
    assert [first[key] for key in KEYS] == ["1687.2", "0.0312", "42.5", "812345678", "0.0312", "14.812"]
    assert second["fit.cpu_seconds"] == "41.5"


def test_cheapest_job_can_be_the_best(costly):
    assert numbers(SweepResults(replace(costly.plan, objective="fit.cpu_seconds"))) == [0, 1]


def test_objective_column_is_first_and_unique(costly):
    assert header(SweepResults(replace(costly.plan, objective="fit.peak_memory_bytes")))[3:5] == ["peak MB", "val_loss"]


@pytest.mark.parametrize(
    ("search", "told"),
    [(None, "no job was started"), (SearchPlan("random", 5, 0, ("seed=choice(1,2)",)), "no trial was started")],
)
def test_sweep_without_jobs_is_reported(search, told, root, capsys):
    plan = SweepPlan(root / "sweeps" / NAME, ("-m",), ("seed",), (), "val_loss", "min", search)
    plan.folder.mkdir(parents=True)
    plan.write()
    assert report.execute([str(plan.folder)]) == 0
    assert capsys.readouterr().out.startswith(f"{told}\n")
    assert f'<span class="status waiting">{told}</span>' in (plan.folder / "report.html").read_text()


def test_single_job_is_singular(planned):
    assert next(notes(planned({}))) == "1 job: 1 completed; sorted by val_loss, lowest first"


def test_secrets_are_masked_wherever_shown(make, root, capsys):
    """One varied secret, and one that all jobs share and that an error repeats."""
    key, jobs = "data.arguments.token", []
    for number, token in enumerate(("qzx", "qzx", "qzy")):
        make(f"{NAME}/{number}")
        words = (f"{key}={token}", "tracker.uri=http://me:hunter22@host", "data.arguments={pwd: qzz, size: 3}")
        jobs.append(PlannedJob(number, words, {key: token, "seed": number}))
        frozen = root / "sweeps" / NAME / "frozen" / str(number)
        frozen.mkdir(parents=True)
        (frozen / "config.yaml").write_text("tracker: {uri: 'http://me:hunter22@host'}")
    jobs.append(PlannedJob(3, words, {key: None, "seed": 3}, refused="no login with hunter22"))
    search = SearchPlan("random", 4, 0, jobs[0].overrides)
    plan = SweepPlan(root / "sweeps" / NAME, ("-m", f"{key}=qzx,qzy"), (key, "seed"), tuple(jobs), search=search)
    plan.write()
    results = read_results(plan.folder)
    write_files(results)
    page = write_sweep_report(results).read_text()
    shown = [page, *notes(results), *unfinished_lines(results), (plan.folder / "summary.md").read_text()]
    shown += [(plan.folder / "sweep.csv").read_text(), " ".join(jobs[0].masked().overrides)]
    assert not [text for text in shown for secret in ("qzx", "qzy", "hunter22", "qzz") if secret in text]
    assert [job.varied[key] for job in results.plan.jobs] == ["*** (1)", "*** (1)", "*** (2)", None]
    assert read_sweep(plan.folder) == plan
