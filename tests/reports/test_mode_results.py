"""The pages of runs that do not train: of a check, a bench and a pack; and of a run that was resumed."""

import pytest

from runner.records.config_yaml import write_config
from runner.records.record import RunRecord
from runner.reports.overview import facts
from runner.reports.page import ABSENT, write_report

LOADER = {"kind": "sequence", "batch_size": 32}
FAST = {
    "loader": "loader=in_memory loader.workers=2",
    "samples_per_second": 46828.8,
    "batch_milliseconds": 0.683,
    "cpu_seconds_per_1000_samples": 0.0045,
    "memory_bytes": 125_000_000,
    "first_batch_seconds": 0.064,
    "reason": "",
}
SLOW = {**dict.fromkeys(FAST), "loader": "loader=custom", "reason": "it has no target"}


@pytest.fixture
def page_of(tmp_path, read):
    """The page of a run of a mode with these results, whose record has no more of its data than a check leaves."""

    def draw(mode, results):
        write_config(tmp_path, {"mode": mode, "data": {"kind": "digits"}, "loader": LOADER})
        record = RunRecord.open(tmp_path, backend="jax", overrides=[f"mode={mode}", "loader=sequence", "seed=3"])
        record.update(results={mode: results}, data={"samples": {"train": 1200, "test": 300}})
        record.close("completed")
        write_report(tmp_path)
        return read(tmp_path)

    return draw


def test_page_of_a_check_counts_what_it_found(page_of):
    page = page_of("check", {"missing": 0, "not_finite": 2})
    assert "2 findings in 1,500 samples; check.json lists them." in page.text
    assert page.tables["Check"][1:] == [["missing", "0"], ["not finite", "2"]]
    assert "python -m runner mode=run loader=sequence seed=3" in page.text


def test_page_of_a_clean_check_says_so(page_of):
    assert "Nothing is wrong with the 1,500 samples." in page_of("check", {"missing": 0}).text


def test_page_of_a_bench_compares_the_loaders(page_of):
    page = page_of("bench", {"best": FAST["loader"], "samples": 200, "of": 1200, "loaders": [FAST, SLOW]})
    assert "Measured on 200 of 1,200 training samples." in page.text
    assert page.tables["Loaders"][1] == [FAST["loader"], "46,829", "0.683", "0.0045", "125", "0.064"]
    assert page.tables["Loaders"][2] == ["loader=custom: it has no target", *["–"] * 5]
    assert "python -m runner seed=3 loader=in_memory loader.workers=2" in page.text


def test_page_of_a_pack_has_its_size(page_of):
    page = page_of("pack", {"path": "packed", "samples": 1500, "bytes": 4_100})
    assert page.tables["Pack"][1:] == [["path", "packed"], ["samples", "1500"], ["bytes", "4.1 kB"]]


def test_resumed_run_says_how_often_and_with_what(tmp_path):
    typed = ["resume=latest", "loader=in_memory", "resume_inexact=true"]
    resumes = [{"overrides": ["resume=latest"]}, {"overrides": typed, "inexact": True}]
    run = type("Run", (), {"config": {"mode": "run"}, "value": lambda *_: None})()
    lines = dict(facts(run, {**ABSENT, "resumed": resumes}))
    assert lines["resumed"] == "2 times, not exactly (resume_inexact=true), with loader=in_memory"
