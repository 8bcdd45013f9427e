"""What clean removes, and what it never does."""

import json
import os

from runner.records.folder import point_latest
from runner.records.run_folder import RunFolder
from runner.records.run_names import all_runs
from runner.runs.commands import is_unfinished, remove, size_bytes


def old(folder):
    os.utime(folder, (0, 0))


def unfinished(store):
    return [run for run in all_runs(store) if is_unfinished(run)]


def test_failed_killed_and_partial_are_unfinished(store):
    old(store / "runs" / "2026-01-06_00-00-00_ffffff")
    assert [run.name[-6:] for run in unfinished(store)] == ["dddddd", "eeeeee", "ffffff", "abcdef"]


def test_new_folder_without_record_is_kept(store):
    assert "ffffff" not in [run.name[-6:] for run in unfinished(store)]


def test_interrupted_and_running_are_kept(make, root):
    make("interrupted", status="interrupted")
    from runner.records.record import RunRecord

    (root / "runs" / "running").mkdir()
    record = RunRecord.open(root / "runs" / "running", backend="jax")
    assert unfinished(root) == []
    record.close("completed")


def test_folder_that_is_no_run_is_kept(store):
    notes = store / "runs" / "my notes"
    notes.mkdir()
    (notes / "run.json").write_text("{}")
    old(notes)
    assert notes not in [run.path for run in all_runs(store)]


def test_run_of_another_host_needs_takeover(make):
    folder = make("far")
    document = json.loads((folder / "run.json").read_text()) | {"status": "running", "process": {"host": "far"}}
    (folder / "run.json").write_text(json.dumps(document))
    assert [is_unfinished(RunFolder(folder), takeover=takeover) for takeover in (False, True)] == [False, True]


def test_remove_takes_empty_sweeps_and_dead_links(make, root):
    kept = make("2026-01-01_00-00-00_aaaaaa")
    gone = [make("2026-01-02_00-00-00_bbbbbb", status="failed"), make("2026-01-03_00-00-00_cccccc/0", status="failed")]
    point_latest(root, gone[0])
    remove(unfinished(root), root)
    assert [run.path for run in all_runs(root)] == [kept]
    assert list((root / "sweeps").iterdir()) == []
    assert (root / "latest").resolve() == kept


def test_sweep_with_a_job_left_stays(make, root):
    make("2026-01-03_00-00-00_cccccc/0", status="failed")
    kept = make("2026-01-03_00-00-00_cccccc/1")
    remove(unfinished(root), root)
    assert [run.path for run in all_runs(root)] == [kept]


def test_link_goes_when_no_run_is_left(make, root):
    point_latest(root, make("a", status="failed"))
    remove(unfinished(root), root)
    assert not (root / "latest").is_symlink()


def test_size_counts_files_and_follows_no_link(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    assert size_bytes(tmp_path) == 5
