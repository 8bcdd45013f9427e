"""Finding a run by its name."""

import pytest

from runner.errors import ConfigurationError
from runner.records.folder import point_latest
from runner.records.run_names import all_runs, find_run


def test_runs_and_jobs_are_sorted(store):
    point_latest(store, store / "runs" / "2026-01-01_00-00-00_aaaaaa")
    names = [run.name.partition("_")[2][9:] for run in all_runs(store)]
    assert names == ["aaaaaa", "bbbbbb", "cccccc/0", "cccccc/10", "dddddd", "eeeeee", "ffffff", "abcdef"]


def test_no_runs_are_an_empty_store(tmp_path):
    assert all_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("aaaaaa", "2026-01-01_00-00-00_aaaaaa"),
        ("cccccc/10", "2026-01-03_00-00-00_cccccc/10"),
        ("cc/0", "2026-01-03_00-00-00_cccccc/0"),
        ("outputs/runs/2026-01-02_00-00-00_bbbbbb/", "2026-01-02_00-00-00_bbbbbb"),
        ("outputs/sweeps/2026-01-03_00-00-00_cccccc/0", "2026-01-03_00-00-00_cccccc/0"),
        ("latest", "2026-01-02_00-00-00_bbbbbb"),
    ],
)
def test_run_is_found_by_any_part_of_its_name(store, name, found):
    point_latest(store, store / "runs" / "2026-01-02_00-00-00_bbbbbb")
    assert find_run(store, name).name == found


def test_latest_is_no_debug_run(make, root):
    kept, debug = make("2026-01-01_00-00-00_aaaaaa"), make("2026-01-02_00-00-00_bbbbbb")
    (debug / "config.yaml").write_text("debug: fast\n")
    point_latest(root, debug)
    assert find_run(root, "latest").path == kept


def test_job_number_matches_whole(make, root):
    make("2026-01-03_00-00-00_cccccc/1")
    make("2026-01-03_00-00-00_cccccc/10")
    assert find_run(root, "cccccc/1").name.endswith("/1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "2026",
            r"^run must match one run, got 2026, which matches 2026-01-01_00-00-00_aaaaaa, .* and 5 more; type more",
        ),
        (
            "zzz",
            r"^run must be a folder, latest or part of a run's name, got zzz, which matches no run below .*outputs; ",
        ),
        ("latest", r"got latest, which matches no run below"),
        ("outputs", r"^run must be the folder of a run, got outputs, which has no run.json$"),
        ("outputs/sweeps/2026-01-03_00-00-00_cccccc", r"has no run.json; give one of its jobs, outputs/sweeps/.*/0$"),
    ],
)
def test_name_of_no_run_or_of_several_is_refused(store, name, message):
    with pytest.raises(ConfigurationError, match=message):
        find_run(store, name)
