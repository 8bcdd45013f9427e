"""The page of a sweep, of one that ended well and of what is left of others."""

import re
import shutil
from dataclasses import replace
from math import inf

import pytest

from runner import report
from runner.records.columns import BY_KEY, limits_of
from runner.reports.html import REPORT_HTML, aligned
from runner.reports.parallel import parallel_plot
from runner.reports.sweep_charts import BEST_LINES, job_curves, job_legend, setting_charts, setting_legend
from runner.reports.sweep_page import write_job_pages, write_sweep_report
from runner.sweeps.results import SweepResults, read_results
from runner.sweeps.sweep_plan import PlannedJob, SearchPlan, SweepPlan

HOSTILE = "<script>alert(1)</script>"
"""The failed job's error."""


@pytest.fixture(scope="module")
def written(write_sweep, tmp_path_factory):
    return write_sweep(tmp_path_factory.mktemp("sweeps") / "2026-01-03_00-00-00_cccccc")


@pytest.fixture
def folder(written, tmp_path):
    copy = tmp_path / written.name
    shutil.copytree(written, copy)
    return copy


@pytest.fixture(scope="module")
def page(written, tmp_path_factory, read):
    """The page of the sweep as it ended."""
    folder = tmp_path_factory.mktemp("page") / written.name
    shutil.copytree(written, folder)
    write_sweep_report(read_results(folder))
    return read(folder)


def test_table_has_varied_keys_best_job_first(page):
    header, *rows = page.tables["Jobs"]
    assert header == [
        "job", "train.learning_rate", "loader", "seed", "status",
        "val_loss", "evaluate.accuracy", "evaluate.loss",
        "images/s", "wait %", "cpu s", "peak MB", "first batch s", "seconds",
    ]  # fmt: skip
    assert rows[0][:6] == ["8", "0.1", "sequence", "0", "completed", "0.3212"]
    assert rows[0][8:13] == ["6,000", "2.5", "41.5", "820.3", "0.0312"]
    assert [row[0] for row in rows] == ["8", "10", "9", "4", "6", "5", "7", "0", "2", "1", "3", "11", "12"]


def test_column_headings_are_explained(page):
    told = BY_KEY["fit.peak_memory_bytes"].meaning
    assert [each["scope"] for each in page.of("th", title=told)] == ["col"] * 2  # of jobs, and over seeds
    assert f"peak MB {told}" in page.text


def test_objective_is_drawn_in_its_unit(written):
    results = read_results(written)
    panels = setting_charts(SweepResults(replace(results.plan, objective="fit.peak_memory_bytes")))
    assert panels[3].title == "peak MB by loader"
    assert panels[3].description == "sequence: 820.3; generator: 821.3"


def test_failed_and_waiting_jobs_are_rows(page):
    told = {row[0]: row[4] for row in page.tables["Jobs"][1:]}
    assert (told["11"], told["12"]) == (f"failedValueError: no {HOSTILE} left", "waiting")
    assert len(page.scripts) == 4
    assert HOSTILE not in "".join(text for _, text in page.script_texts)
    assert page.of("span", **{"class": "status failed"})
    assert "11 completed, 1 failed, 1 waiting" in page.text


def test_only_jobs_with_a_page_are_linked(page):
    assert [link["href"] for link in page.of("a") if not link["href"].startswith("#")] == [
        f"{number}/report.html" for number in (8, 10, 9, 4, 6, 5, 7, 0, 2, 1, 3)
    ]
    loaded = [a[name] for tag, a in page.elements for name in ("src", "href", "xlink:href") if name in a and tag != "a"]
    assert loaded
    assert all(address.startswith(("data:", "#")) for address in loaded)


def test_sweep_page_reports_command_and_fairness(page):
    assert "python -m runner -m seed=0,1 'data.root=a b'" in page.text
    assert "10 jobs in 5 groups differ only in the loader within their group: same batches, same weights." in page.text
    assert "job 13 = job 0." in page.text
    assert "Best by lowest val_loss: job 8 (train.learning_rate=0.1, loader=sequence, seed=0)" in page.text


def test_differing_loaders_are_reported(folder, read):
    file = folder / "2/run.json"
    file.write_text(file.read_text().replace("1" * 64, "2" * 64))
    write_sweep_report(read_results(folder))
    assert "job 2 differs from job 0 only in the loader, but digests.ids are not the same." in read(folder).text


def test_environment_is_shown_once(page, folder, read):
    assert "These differ between jobs" not in page.text
    file = folder / "2/run.json"
    changed, count = re.subn(r'("keras": )"[^"]*"', r'\1"2.0.0"', file.read_text(), count=1)
    file.write_text(changed)
    write_sweep_report(read_results(folder))
    page = read(folder)
    assert count == 1
    assert "may not be comparable: versions.keras ." in page.text
    assert "2.0.0" not in page.text


def test_settings_have_four_digits(write_sweep, tmp_path, read):
    write_sweep_report(read_results(write_sweep(tmp_path / "a", rates=(0.0123456789,), loaders=("sequence",))))
    assert "job 0 (train.learning_rate=0.01235, loader=sequence, seed=0)" in read(tmp_path / "a").text


def test_means_over_seeds_are_tabled_and_drawn(page, written):
    rows = page.tables["Over seeds"]
    assert rows[0][:4] == ["train.learning_rate", "loader", "n", "val_loss"]
    assert rows[2][:4] == ["0.1", "sequence", "2", "0.3487 ±\N{NO-BREAK SPACE}0.0389"]
    assert [key.text for key in setting_legend(read_results(written))][-1] == "mean ± standard deviation over seeds"
    assert all('class="mark mean"' in panel.svg for panel in setting_charts(read_results(written)))


def test_bars_end_where_values_do(write_sweep, tmp_path):
    results = read_results(write_sweep(tmp_path / "a", rates=(0.1,), loaders=("sequence",), seeds=(0, 0, 80, 1)))
    (line,) = (line for line in setting_charts(results)[0].plot.lines if line.bars)
    ((low, high),) = line.bars
    assert low == 0 and high > 2 * line.y[0]  # the deviation is larger than the mean
    assert (limits_of("evaluate.accuracy", [0.98]), limits_of("wait_share", [40])) == ((0, 1), (0, 100))
    assert limits_of("loss", [-1, 2]) == (-inf, inf)


def test_every_key_has_charts_of_each_result(written):
    panels = setting_charts(read_results(written))
    assert [panel.title for panel in panels] == [
        "val_loss by train.learning_rate", "evaluate.accuracy by train.learning_rate",
        "images/s by train.learning_rate",
        "val_loss by loader", "evaluate.accuracy by loader", "images/s by loader",
    ]  # fmt: skip
    assert panels[0].description == "0.1: 0.3212 to 0.3762; 0.01: 0.7661 to 0.8211; 0.001: 2.043 to 2.098"
    assert panels[5].description == "sequence: 6,000 to 6,030; generator: 6,500 to 6,530"


def test_numbers_get_axes_and_names_get_groups(written):
    by_rate, _, _, by_loader, *_ = setting_charts(read_results(written))
    assert [text for text in labels(by_rate) if (text.startswith("0.0") and text != "0.0") or text == "0.1"] == [
        "0.001",
        "0.01",
        "0.1",
    ]
    first, second, third = (place for text, place in labels(by_rate).items() if text in ("0.001", "0.01", "0.1"))
    assert second - first == pytest.approx(third - second, abs=0.2)
    assert {"sequence", "generator"} <= set(labels(by_loader))


def test_constant_result_is_not_drawn(write_sweep, tmp_path, read):
    folder = write_sweep(tmp_path / "sweep", rates=(0.01,), loaders=("generator", "sequence", "in_memory"), seeds=(0,))
    results = read_results(folder)
    write_sweep_report(results)
    assert "All completed jobs have the same val_loss: 0.7661." in read(folder).text
    assert [panel.title.split(" by ")[0] for panel in setting_charts(results)] == ["images/s"] * 2
    assert [key.text for key in setting_legend(results)] == ["a job", "mean ± standard deviation over seeds"]


def labels(panel):
    """The words of a drawing, and where they begin from the left."""
    found = re.findall(r'<text x="([\d.]+)"[^>]*>([^<]*)</text>', panel.svg)
    return {text: float(place) for place, text in found}


def test_seed_has_a_chart_when_nothing_else_varies(write_sweep, tmp_path):
    folder = write_sweep(tmp_path / "sweep", rates=(0.01,), loaders=("sequence",), seeds=(0, 1, 2))
    results = read_results(folder)
    plan = SweepPlan(folder, (), ("seed",), results.plan.jobs)
    panels = setting_charts(type(results)(plan))
    assert [panel.title for panel in panels] == ["val_loss by seed", "evaluate.accuracy by seed", "images/s by seed"]
    assert not any("mean" in panel.svg for panel in panels)


def test_curves_of_all_jobs_name_the_best(written):
    results = read_results(written)
    assert [panel.title for panel in job_curves(results)] == ["val loss", "loss"]
    keys = [key.text for key in job_legend(results)]
    assert keys[0] == "job 8: train.learning_rate=0.1, loader=sequence, seed=0"
    assert (len(keys), keys[-1]) == (len(BEST_LINES) + 1, "7 more")
    assert len({line.mark for line in BEST_LINES}) == len({line.name for line in BEST_LINES}) == len(BEST_LINES)


def test_metric_objective_has_the_first_curve(written):
    results = read_results(written)
    plan = SweepPlan(written, (), results.plan.varied, results.plan.jobs, "val_accuracy", "max")
    assert [panel.title for panel in job_curves(type(results)(plan))] == ["val accuracy", "val loss", "loss"]


def test_sweep_without_started_jobs_has_a_page(tmp_path, read):
    folder = tmp_path / "sweep"
    folder.mkdir()
    SweepPlan(folder, ("-m", "seed=0"), ("seed",), (PlannedJob(0, (), {"seed": 0}),)).write()
    assert report.execute([str(folder)]) == 0
    page = read(folder)
    assert "No completed job has a value of loss." in page.text
    assert page.tables["Jobs"][1:] == [["0", "0", "waiting"]]


def test_page_is_drawn_again_by_the_command(folder, capsys):
    assert report.execute([str(folder)]) == 0
    assert f"report    {folder / REPORT_HTML}\n" in capsys.readouterr().out
    first = (folder / REPORT_HTML).read_text()
    report.execute([str(folder)])
    assert (folder / REPORT_HTML).read_text() == first


def test_sweep_is_found_by_part_of_its_name(written, tmp_path, capsys):
    root = tmp_path / "outputs"
    shutil.copytree(written, root / "sweeps" / written.name)
    assert report.execute(["_cccccc", f"output_dir={root}"]) == 0
    assert f"report    {root / 'sweeps' / written.name / REPORT_HTML}" in capsys.readouterr().out


def test_numbers_of_a_column_are_aligned(folder):
    write_sweep_report(read_results(folder))
    waits = re.findall(r'data-value="(2[.]\d+)">([^<]*)</td>', (folder / REPORT_HTML).read_text())
    assert {text for _, text in waits} >= {"2.5\u2007\u2007", "2.222"}
    assert aligned([None, 3, 0.25]) == ["–", "3\u2008\u2007\u2007", "0.25"]


def test_best_job_has_its_command(write_sweep, tmp_path, read):
    folder = write_sweep(tmp_path / "sweep", rates=(0.01,), loaders=("sequence",))
    plan = read_results(folder).plan
    jobs = tuple(replace(job, overrides=("model=mlp", f"seed={job.number}")) for job in plan.jobs)
    write_sweep_report(SweepResults(replace(plan, jobs=jobs)))
    page = read(folder)
    assert "To run job 0 again: python -m runner model=mlp seed=0" in page.text


def test_pages_of_jobs_are_drawn_when_few_or_asked(folder, capsys, monkeypatch):
    for page in folder.glob("*/report.html"):
        page.unlink()
    results = read_results(folder)
    assert write_job_pages(results, most=11) == 0
    write_sweep_report(results)
    text = (folder / REPORT_HTML).read_text()
    assert f"<code>python -m runner.report {folder.resolve()}</code>" in text  # its name is not looked for here
    assert 'href="8/report.html"' not in text
    (folder.parent / "sweeps").mkdir()
    folder.rename(folder.parent / "sweeps" / folder.name)
    assert report.execute([folder.name, f"root={folder.parent}"]) == 0
    assert "pages     of 12 jobs drawn" in capsys.readouterr().out
    moved = folder.parent / "sweeps" / folder.name
    assert 'href="8/report.html"' in (moved / REPORT_HTML).read_text()
    assert "completed" in (moved / "8" / REPORT_HTML).read_text()


def test_parallel_plot_has_a_line_per_job(written, read, folder):
    plot = parallel_plot(read_results(written))
    rate, loader, accuracy, loss = plot.coordinates
    assert [each.title for each in plot.coordinates] == [
        "train.learning_rate", "loader", "evaluate.accuracy", "val_loss",
    ]  # fmt: skip
    assert rate.axis.scale == "log"
    assert len(set(rate.values)) == 3
    assert len(set(loader.values)) == 2
    assert plot.texts[0] == "job 8: val_loss 0.3212 (train.learning_rate=0.1, loader=sequence, seed=0)"
    assert (min(loss.values), max(accuracy.values)) == (loss.values[0], accuracy.values[0])
    assert plot.svg.count('class="line rest"') == 10
    assert plot.svg.count('class="line rank1"') == 1


def test_searched_scale_is_that_of_the_axis(written):
    results = read_results(written)
    jobs = tuple(
        replace(job, varied={"a": 1 + job.number / 9, "b": job.number % 2 + 1}) for job in results.plan.jobs[:11]
    )
    search = SearchPlan("random", 11, 0, ("a=tag(log,interval(1,3))", "b=choice(1,2)"))
    plot = parallel_plot(SweepResults(replace(results.plan, varied=("a", "b"), jobs=jobs, search=search)))
    assert [each.axis.scale for each in plot.coordinates] == ["log", "linear", "linear", "linear"]


def test_one_key_needs_no_parallel_plot(write_sweep, tmp_path):
    folder = write_sweep(tmp_path / "sweep", rates=(0.01, 0.1), loaders=("sequence",))
    results = read_results(folder)
    assert parallel_plot(SweepResults(replace(results.plan, varied=("train.learning_rate",)))) is None
