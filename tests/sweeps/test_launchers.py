"""Sweeps whose jobs a scheduler starts: what comes of them is the same, whoever starts them."""

import json
import os
import signal
import socket
import sqlite3
import threading
import time
from dataclasses import replace
from importlib.util import find_spec

import psutil
import pytest

from runner.commands.prepare_sweep import prepare_sweep
from runner.errors import ConfigurationError, RunnerError, Terminated
from runner.sweeps import cluster
from runner.sweeps.cluster import Channel, run_queued_job
from runner.sweeps.process import JobAttempt, JobOutcome
from runner.sweeps.results import read_results
from runner.sweeps.sweep_plan import read_sweep

pytestmark = pytest.mark.usefixtures("empty_pages")  # no test here looks at one

SUBMITIT = ["sweep.launcher=submitit", "sweep.submitit.executor=local"]
RAY = ["sweep.launcher=ray"]
EACH = pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(words, id=name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"without {name}"))
        for name, words in (("submitit", SUBMITIT), ("ray", RAY))
    ],
)


def statuses(folder):
    return {int(file.parent.name): json.loads(file.read_text())["status"] for file in folder.glob("[0-9]/run.json")}


def processes(here):
    """Those of jobs, and those that run_queued_job to them."""
    marks = (str(here / "job.py"), str(here / "outputs"))
    lines = {each: " ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])}
    return [each for each, line in lines.items() if any(mark in line for mark in marks)]


@pytest.fixture
def nothing_is_left(here):
    yield
    assert processes(here) == []


@EACH
def test_jobs_run_in_their_own_processes(launcher, sweep, nothing_is_left, capsys):
    code, folder = sweep(*launcher, "seed=1,9,2")
    assert code == 1
    assert statuses(folder) == {0: "completed", 1: "failed", 2: "completed"}
    assert [(folder / number / "output.log").read_text().split(" on ")[0] for number in "02"] == [
        "this is seed 1",
        "this is seed 2",
    ]
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith("  job 1 failed: ValueError: nine is no seed (")
    assert "3 jobs: 2 completed, 1 failed; sorted by val_loss, lowest first" in printed.out


@pytest.fixture
def terminated(here):
    """Ends the sweep of this process, as SIGTERM does, once so many jobs have begun."""

    def terminate(*_):
        raise Terminated

    def after(count):
        def wait():
            while len(list(here.glob("outputs/sweeps/*/[0-9]/run.json"))) < count:
                time.sleep(0.05)
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, daemon=True).start()

    before = signal.signal(signal.SIGTERM, terminate)
    yield after
    signal.signal(signal.SIGTERM, before)


@EACH
def test_interrupt_ends_jobs_and_empties_queue(launcher, here, sweep, terminated, nothing_is_left, capsys):
    # Of Ray's cores both: the second job is in its queue.
    crowded = {"submitit": ["sweep.jobs=1"], "ray": [f"sweep.ray.num_cpus={os.cpu_count()}"]}[launcher[0].split("=")[1]]
    terminated(1)
    with pytest.raises(Terminated):
        sweep(*launcher, *crowded, "seed=10", "loader=generator,sequence")
    (folder,) = (here / "outputs/sweeps").iterdir()
    assert statuses(folder) == {0: "interrupted"}
    assert "2 jobs: 1 interrupted, 1 waiting" in capsys.readouterr().out
    assert read_sweep(folder).process is None


@EACH
def test_job_killed_by_system_shows_last_lines(launcher, here, sweep, nothing_is_left, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "SETTLE_SECONDS", 0.5)
    # The parent is what the scheduler runs: the memory of a host is short, or its time is up.
    text = (here / "job.py").read_text()
    taken = "if seed == 7:\n    os.kill(os.getppid(), 9)\n    sys.exit()\nif 0:"
    (here / "job.py").write_text(text.replace("if seed == 7:", taken))
    code, _ = sweep(*launcher, "seed=7,1")
    assert code == 1
    told = capsys.readouterr()
    assert "2 jobs: 1 completed, 1 failed" in told.out
    expected = {"submitit": "job 0 failed: queue job ", "ray": "job 0 failed: Ray ended the task: WorkerCrashedError"}
    assert expected[launcher[0].split("=")[1]] in told.err.splitlines()[-1]


class Gone:
    """A entry of which the scheduler says that it is over."""

    def end_state(self):
        return "NODE_FAIL"

    def cancel(self):
        raise AssertionError("over already")


def test_run_on_a_lost_host_is_not_running(sweep, monkeypatch):
    monkeypatch.setattr(cluster, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0)
    _, folder = sweep("seed=1")
    file = folder / "0/run.json"
    document = json.loads(file.read_text())
    elsewhere = document["process"] | {"host": f"not-{socket.gethostname()}"}
    file.write_text(json.dumps(document | {"status": "running", "process": elsewhere}))
    plan = read_sweep(folder)
    channel = Channel(folder, 0)
    channel.open()
    channel.begin()
    outcome = cluster.ClusterJob(plan, JobAttempt(plan.jobs[0]), Gone()).poll()
    assert (outcome.ended, outcome.exit_code) == ("killed", 137)
    assert statuses(folder) == {0: "killed"}
    assert (folder / "0/output.log").read_text().endswith("sweep: NODE_FAIL\n")


def test_job_result_precedes_scheduler_state(sweep, monkeypatch):
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0)
    _, folder = sweep("seed=1")
    plan = read_sweep(folder)
    job = cluster.ClusterJob(plan, JobAttempt(plan.jobs[0]), Gone())
    channel = Channel(folder, 0)
    channel.open()
    assert job.poll() is None  # it may only not be seen yet
    channel.end(JobOutcome(0, "completed", 0, 3.0))
    assert job.poll() == JobOutcome(0, "completed", 0, 3.0)


@pytest.mark.parametrize("late", ["sweep ended", "asked to end", "another process"])
def test_late_order_is_ignored(late, here, sweep):
    _, folder = sweep("seed=1")
    before = (folder / "0/run.json").stat().st_mtime_ns
    plan = read_sweep(folder)
    with plan.running():
        order = cluster.JobQueue(read_sweep(folder), None).prepare(JobAttempt(plan.jobs[0]))
        if late == "asked to end":
            Channel(folder, 0).request("end")
            run_queued_job(order)
    if late == "another process":
        replace(plan, process={"host": "other"}).write()
    run_queued_job(order)
    assert not Channel(folder, 0).has_begun
    assert (folder / "0/run.json").stat().st_mtime_ns == before


def find_spec_of_pytest(_):
    """That of a package that is installed, whatever is asked for."""
    return find_spec("pytest")


@pytest.mark.parametrize("name", ["submitit", "ray"])
def test_missing_launcher_is_refused(name, here, monkeypatch):
    monkeypatch.setattr("runner.component.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError) as refused:
        prepare_sweep([f"sweep.launcher={name}", "seed=1,2"])
    assert refused.value.problems == (
        f"sweep.launcher={name} needs the package {name}, which is not installed; "
        f"pip install 'keras-runner[{name}]', or use sweep.launcher=local",
    )
    assert list(here.iterdir()) == [here / "job.py"]


@pytest.mark.skipif(find_spec("submitit") is None, reason="without submitit")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["sweep.submitit.executor=local", "sweep.submitit.slurm_partitoin=gpu"],
            "got executor=local: Unknown argument 'partitoin' for executor 'slurm' in parameter 'slurm_partitoin'",
        ),
        ([], 'got executor=slurm: Could not detect "srun", are you indeed on a slurm cluster?'),
    ],
)
def test_unsupported_submitit_keys_are_refused(words, message, here, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError) as refused:
        prepare_sweep(["sweep.launcher=submitit", *words, "seed=1,2"])
    assert len(refused.value.problems) == 1
    assert message in refused.value.problems[0]
    assert list(here.iterdir()) == [here / "job.py"]


@pytest.mark.parametrize(("words", "slots"), [([], 1), (["sweep.jobs=3"], 3), (RAY, 7), ([*RAY, "sweep.jobs=2"], 2)])
def test_all_jobs_are_queued_by_default(words, slots, here, monkeypatch):
    monkeypatch.setattr("runner.component.find_spec", find_spec_of_pytest)
    assert prepare_sweep([*words, "seed=1,2"]).settings.slots(7) == slots


@pytest.mark.skipif(find_spec("ray") is None, reason="without ray")
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sweep.ray.address=auto", "sweep.ray.address must be a cluster that answers, got auto: "),
        (
            "sweep.ray.num_cpus=999",
            "sweep.ray.num_cpus must be at most .*, which is what this host has, got 999; lower",
        ),
        (
            "sweep.ray.resources={big: 1}",
            "sweep.ray.resources.big must be at most 0, which is what this host has, got 1",
        ),
    ],
)
def test_refusing_cluster_ends_the_sweep(word, message, sweep, nothing_is_left):
    with pytest.raises(RunnerError, match=message):
        sweep(*RAY, word, "seed=1,2")


@EACH
@pytest.mark.skipif(find_spec("optuna") is None, reason="without optuna")
def test_search_learns_from_scheduled_trials(launcher, sweep, nothing_is_left, capsys):
    code, folder = sweep(
        *launcher, "sweep.search=optuna", "sweep.trials=2", "sweep.jobs=2", "data.split_seed=int(interval(11,99))"
    )
    assert code == 0
    plan = read_sweep(folder)
    assert statuses(folder) == {job.number: "completed" for job in plan.distinct}
    assert "the best is job" in capsys.readouterr().out
    with sqlite3.connect(folder / "search.db") as database:
        told = database.execute("select value from trial_values order by trial_id").fetchall()
    database.close()
    assert [value for (value,) in told] == [job.varied["data.split_seed"] / 5 for job in plan.jobs]


@pytest.mark.parametrize(("method", "slots"), [("random", 30), ("optuna", 10)])
def test_optuna_queues_its_random_trials(method, slots, sweep, monkeypatch):
    pytest.importorskip("optuna")
    given = []
    monkeypatch.setattr("runner.component.find_spec", find_spec_of_pytest)
    monkeypatch.setattr("runner.commands.search.run_jobs", lambda *_, slots, **__: given.append(slots))
    sweep(*RAY, f"sweep.search={method}", "sweep.trials=30", "data.split_seed=int(interval(1,99))")
    assert given == [slots]


@pytest.mark.skipif(None in (find_spec("optuna"), find_spec("submitit")), reason="without optuna or submitit")
def test_remote_trial_is_pruned_by_channel(sweep, nothing_is_left):
    search = ["sweep.search=optuna", "sweep.prune=true", "sweep.trials=6", "sweep.jobs=1"]
    code, folder = sweep(*SUBMITIT, *search, "seed=0", "train.epochs=3", "train.learning_rate=interval(0.1,1)")
    assert code == 0
    assert [read_results(folder).status_counts(), statuses(folder)[5]] == [{"completed": 5, "pruned": 1}, "interrupted"]
    assert Channel(folder, 5).has_request("prune")
    assert Channel(folder, 5).outcome.ended == "pruned"
