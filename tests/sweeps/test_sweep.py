"""Sweeps as processes: what one job does costs no other anything, and what is missing can be run later."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runner import compose
from runner.commands.prepare_sweep import prepare_sweep
from runner.commands.sweep import run_sweep
from runner.errors import ConfigurationError, Terminated
from runner.records.config_yaml import write_config
from runner.records.record import RunRecord
from runner.sweeps import process
from runner.sweeps.launchers import visible_gpus
from runner.sweeps.results import read_results
from runner.sweeps.sweep_plan import read_sweep

pytestmark = pytest.mark.usefixtures("empty_pages", "forked")  # one test looks at one

ROOT = Path(__file__).parents[2]


def statuses(folder):
    return {int(file.parent.name): json.loads(file.read_text())["status"] for file in folder.glob("[0-9]/run.json")}


@pytest.mark.usefixtures("started")
def test_failing_jobs_do_not_stop_others(sweep, capsys):
    code, folder = sweep("seed=1,7,8,9,2")
    assert code == 1
    printed = capsys.readouterr()
    name = folder.relative_to(Path.cwd())
    assert printed.err.splitlines() == [
        "error: 3 of 5 jobs did not complete",
        f"  job 1 failed: ZeroDivisionError: before the record ({name}/1)",
        f"  job 2 killed: the process was killed by SIGKILL; the system may have run out of memory ({name}/2)",
        f"  job 3 failed: ValueError: nine is no seed ({name}/3)",
    ]
    assert "ZeroDivisionError" not in printed.out.split("table ")[0].split("\n\n")[0]
    assert "Traceback" in (folder / "1/output.log").read_text()
    assert "5 jobs: 2 completed, 2 failed, 1 killed; sorted by val_loss, lowest first" in printed.out
    command = f"python -m runner -m sweep.resume={name}"
    assert f"\nnext      {command}\n          runs the 3 jobs that did not complete\n" in printed.out


def test_failed_page_does_not_fail_the_sweep(sweep, capsys, monkeypatch):
    monkeypatch.setattr("runner.commands.sweep_folder.write_sweep_report", lambda _: 1 / 0)
    assert sweep("seed=1,2")[0] == 0
    assert "cannot write the report: ZeroDivisionError: division by zero" in capsys.readouterr().out


def test_successful_sweep_exits_with_0(sweep, drawn, capsys):
    code, folder = sweep("seed=2,1", "loader=generator,sequence")
    assert code == 0
    assert capsys.readouterr().err == ""
    with (folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["loader"], row["val_loss"]) for row in rows] == [
        ("1", "generator", "0.2"),
        ("1", "sequence", "0.2"),
        ("2", "generator", "0.4"),
        ("2", "sequence", "0.4"),
    ]
    assert "Best by lowest val_loss: job" in (folder / "report.html").read_text()
    assert all("completed" in (folder / str(number) / "report.html").read_text() for number in range(4))
    summary = (folder / "summary.md").read_text()
    assert "| loader | n | val_loss | evaluate.accuracy | images/s | seconds |" in summary
    assert "| generator | 2 | 0.3000 ± 0.1414 | 0.8500 ± 0.0707 | 100 ± 0 |" in summary
    assert "- 4 jobs in 2 groups differ only in the loader within their group: same batches, same weights" in summary


def test_job_keeps_hydra_files_and_first_config(here, hydra_files, sweep):
    (here / "conf/train").mkdir(parents=True)
    mine = here / "conf/train/mine.yaml"
    mine.write_text("defaults: [default]\nepochs: 77\n")
    _, folder = sweep("seed=9,1", "train=mine")
    assert {file.name for file in (folder / "1/.hydra").iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert f"dir: {folder.relative_to(here)}/1" in (folder / "1/.hydra/hydra.yaml").read_text()
    mine.unlink()
    (here / "mended").touch()
    sweep(f"sweep.resume={folder}")
    assert "epochs: 77" in (folder / "0/config.yaml").read_text()
    assert read_sweep(folder).jobs[0].foreign_files == (str(mine),)


def test_jobs_that_equal_others_run_once(sweep, capsys):
    code, folder = sweep("loader=generator,sequence", "loader.workers=1,2", "seed=1,1")
    assert code == 0
    assert sorted(statuses(folder)) == [0, 4, 6]
    printed = capsys.readouterr().out
    assert "8 jobs, 3 to run" in printed
    assert (
        "5 jobs equal earlier ones and were not run (a key that the loader does not use is left blank): "
        "1 = 0, 2 = 0, 3 = 0, 5 = 4, 7 = 6\n"
    ) in printed
    assert read_sweep(folder).jobs[2].varied == {"loader": "generator", "loader.workers": None, "seed": 1}


def test_completed_job_with_findings_fails_sweep(here, sweep, capsys):
    (here / "job.py").write_text((here / "job.py").read_text() + "if seed == 2: sys.exit('error: 3 bad files')\n")
    code, folder = sweep("seed=1,2")
    assert code == 1
    told = f"  job 1 ended with exit code 1: error: 3 bad files ({folder.relative_to(here)}/1)"
    assert capsys.readouterr().err.splitlines()[1:] == [told]


def test_objective_missing_in_jobs_is_reported(sweep, capsys):
    sweep("seed=1,2", "sweep.objective=val_top_accuracy")
    problem = "no job has val_top_accuracy (sweep.objective); a job has loss, val_loss, evaluate.accuracy, images"
    assert f"2 jobs: 2 completed; {problem}" in capsys.readouterr().out


@pytest.mark.usefixtures("started")
def test_resume_runs_only_missing_jobs(here, sweep, capsys):
    _, folder = sweep("seed=1,9,8,2")
    shutil.rmtree(folder / "3")
    before = (folder / "0/run.json").stat().st_mtime_ns
    (here / "mended").touch()
    code, same = sweep("sweep.resume=latest", "sweep.jobs=2")
    assert (code, same) == (0, folder)
    assert statuses(folder) == dict.fromkeys(range(4), "completed")
    assert (folder / "0/run.json").stat().st_mtime_ns == before
    assert json.loads((folder / "1.attempt1/run.json").read_text())["error"]["message"] == "nine is no seed"
    assert (folder / "2/again").exists()  # it was killed, and went on in its folder
    assert "4 jobs, 3 to run" in capsys.readouterr().out


def test_resume_of_complete_sweep_runs_nothing(sweep, capsys):
    _, folder = sweep("seed=1,2")
    assert sweep(f"sweep.resume={folder}") == (0, folder)
    assert "2 jobs, 0 to run" in capsys.readouterr().out


def test_sweep_is_kept_and_resumed_elsewhere(here, forked, capsys):
    keys = ["output_dir=a scratch disk", "seed=1,9"]
    assert run_sweep(prepare_sweep(keys), ["-m", *keys]) == 1
    (folder,) = Path("a scratch disk/sweeps").iterdir()
    assert not Path("outputs").exists()
    assert f"{folder.name}/1" in Path("a scratch disk/index.html").read_text()
    (here / "mended").touch()
    again = ["output_dir=a scratch disk", "sweep.resume=latest"]
    assert run_sweep(prepare_sweep(again), ["-m", *again]) == 0
    assert statuses(folder) == dict.fromkeys(range(2), "completed")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("latest", "sweep.resume=latest must find a sweep, but there is none in outputs/sweeps; start one with -m"),
        (
            "nowhere",
            "sweep.resume must be the folder of a sweep, got nowhere, which has no sweep.json; give a folder of "
            "outputs/sweeps, or latest",
        ),
    ],
)
def test_resume_of_what_is_no_sweep_is_refused(name, message, sweep):
    with pytest.raises(ConfigurationError) as refused:
        sweep(f"sweep.resume={name}")
    assert refused.value.problems == (message,)


def test_sweep_that_runs_cannot_be_resumed(sweep):
    _, folder = sweep("seed=1")
    with (
        read_sweep(folder).running(),
        pytest.raises(ConfigurationError, match=f"still running on .* as process {os.getpid()}; stop that first"),
    ):
        sweep(f"sweep.resume={folder}")


@pytest.mark.usefixtures("started")
def test_fail_fast_stops_all_jobs(sweep):
    code, folder = sweep("seed=10,9,1", "sweep.jobs=2", "sweep.fail_fast=true")
    assert code == 1
    jobs = read_results(folder).jobs  # job 0 may have a record by then, or not yet
    assert {job.planned.number: job.status for job in jobs} == {0: "interrupted", 1: "failed", 2: "waiting"}
    assert {job.planned.number: job.error for job in jobs}[0] == "ended with the sweep"


def test_job_ended_before_its_record_is_no_failure(here, sweep, capsys):
    (here / "job.py").write_text("import sys, time\nif sys.argv[2] == '1': sys.exit('no')\nprint('on')\ntime.sleep(60)")
    code, folder = sweep("seed=1,2", "sweep.jobs=2", "sweep.fail_fast=true")
    assert code == 1
    assert "2 jobs: 1 failed, 1 interrupted" in capsys.readouterr().out
    assert not (folder / "0/run.json").exists()


def test_job_that_takes_too_long_is_ended(sweep, capsys):
    code, folder = sweep("seed=10,1", "sweep.timeout_minutes=0.05")
    assert code == 1
    assert statuses(folder) == {0: "interrupted", 1: "completed"}
    assert "job 0 interrupted: stopped after 0.05 min (sweep.timeout_minutes)" in capsys.readouterr().err


@pytest.mark.usefixtures("started")
def test_unresponsive_job_is_killed(here, sweep, monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.3)
    text = (here / "job.py").read_text()
    (here / "job.py").write_text(text.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN"))
    code, _ = sweep("seed=10", "sweep.timeout_minutes=0.03")  # it would run for good
    assert code == 1


@pytest.mark.usefixtures("started")
def test_jobs_at_once_have_a_gpu_each(sweep, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    _, folder = sweep("seed=1,2", "sweep.jobs=2")
    assert {(folder / number / "output.log").read_text() for number in "01"} == {
        "this is seed 1 on 3\n",
        "this is seed 2 on 5\n",
    }


@pytest.mark.parametrize(("listed", "gpus"), [("0,1", ("0", "1")), ("", ()), ("-1", ()), ("GPU-abc", ("GPU-abc",))])
def test_gpus_are_those_the_environment_lists(listed, gpus):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": listed}) == gpus


def children():
    import psutil

    return [child for child in psutil.Process().children() if "job.py" in " ".join(child.cmdline())]


@pytest.mark.usefixtures("started")
def test_interrupt_ends_jobs_and_prints_table(here, sweep, capsys):
    def interrupt():
        while len(list(here.glob("outputs/sweeps/*/[0-9]/run.json"))) < 2:
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    def terminate(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(Terminated):
            sweep("seed=10,10", "loader=generator,sequence", "train.epochs=1,2", "sweep.jobs=2")
    finally:
        signal.signal(signal.SIGTERM, before)
    (folder,) = (here / "outputs/sweeps").iterdir()
    assert statuses(folder) == {0: "interrupted", 1: "interrupted"}
    assert "4 jobs: 2 interrupted, 2 waiting" in capsys.readouterr().out
    assert read_sweep(folder).process is None
    assert children() == []


def test_jobs_end_when_the_sweep_is_killed(tmp_path):
    # The real job: its process notices that nobody holds the other end of its stdin.
    code = "import time\nfrom runner import job\njob._end_with_the_sweep()\nprint('on', flush=True)\ntime.sleep(60)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"on\n"
        started.stdin.close()
        assert started.wait(10) == -signal.SIGTERM


def test_killed_rerun_job_is_resumed(here, sweep):
    first = here / "first"
    first.mkdir()
    write_config(first, compose([]).document())
    RunRecord.open(first, backend="tensorflow").close("completed")
    _, folder = sweep(f"rerun={first}", "verify=true", "seed=8,1")
    assert sweep(f"sweep.resume={folder}") == (0, folder)
    assert (folder / "0/again").exists()
    config = read_sweep(folder).config(0, resume=True)
    assert (config["resume"], config["rerun"], config["verify"]) == (str(folder / "0"), None, True)


def test_debug_job_restarts(sweep):
    _, folder = sweep("debug=fast", "seed=8,1")
    sweep(f"sweep.resume={folder}")
    assert (folder / "0.attempt1").exists() and not (folder / "0/again").exists()


CODE = ["extensions=[mine_s]", "model=custom", "model.target=mine_s.build"]
UNLISTED = (
    "model.target must be in a module that extensions lists, written my_module.f; got 'mine_s.build' with "
    "extensions=[]; add 'extensions=[mine_s]'"
)


def test_sweep_extensions_must_be_given_again(here, sweep):
    Path("mine_s.py").write_text("raise SystemExit('imported')\ndef build(): ...\n")
    _, folder = sweep("seed=9,1", *CODE)
    (here / "mended").touch()
    with pytest.raises(ConfigurationError) as refused:
        sweep(f"sweep.resume={folder}")
    assert refused.value.problems == (UNLISTED,)
    assert statuses(folder) == {0: "failed", 1: "completed"}
    assert sweep(f"sweep.resume={folder}", "extensions=[mine_s]") == (0, folder)
    assert sweep(f"sweep.resume={folder}") == (0, folder)  # there is nothing left to run


def test_deleted_module_is_reported(sweep):
    Path("mine_s.py").write_text("def build(): ...\n")
    _, folder = sweep("seed=9", *CODE)
    Path("mine_s.py").unlink()
    with pytest.raises(ConfigurationError, match="extensions must list modules that can be imported, got mine_s"):
        sweep(f"sweep.resume={folder}", "extensions=[mine_s]")
