"""Sweepers of Hydra's propose jobs, and our launcher runs each in a process of its own."""

import importlib
import json
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins

from runner.commands.prepare_sweep import prepare_sweep
from runner.config.jobs import prepare
from runner.errors import ConfigurationError
from runner.sweeps.sweep_plan import read_sweep

pytestmark = pytest.mark.usefixtures("empty_pages", "forked")  # no test here looks at one


@pytest.fixture(autouse=True)
def narrowing(monkeypatch):
    """A plugin that is installed, and what it was told."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "plugins")
    plugin = importlib.import_module("hydra_plugins.narrowing")
    Plugins.instance().register(plugin.Narrowing)
    plugin.TOLD.clear()
    return plugin.TOLD


def test_foreign_sweeper_drives_our_processes(sweep, narrowing, capsys):
    code, folder = sweep("hydra/sweeper=narrowing", "hydra.sweeper.rounds=3", "seed=interval(1,6)", "train.epochs=2")
    assert code == 0
    assert narrowing == [(0.2, 1.2), (0.2, 0.6), (0.2, 0.4)]  # the val_loss of a job is a fifth of its seed
    plan = read_sweep(folder)
    assert [job.overrides for job in plan.jobs] == [("train.epochs=2", f"seed={seed}") for seed in (1, 6, 1, 3, 1, 2)]
    assert [job.same_as for job in plan.jobs] == [None, None, 0, None, 0, None]
    assert plan.varied == ("seed",)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "6 jobs, 1 to run" in printed.out
    assert "4 jobs: 4 completed; sorted by val_loss, lowest first" in printed.out


def test_sweeper_receives_the_objective(sweep, narrowing):
    sweep("hydra/sweeper=narrowing", "sweep.objective=evaluate.accuracy", "seed=interval(1,6)")
    assert narrowing == [(0.9, 0.4), (0.7, 0.4)]


def test_basic_sweeper_runs_the_same_jobs(hydra_files, sweep):
    overrides = ["loader=generator,sequence", "loader.workers=1,2", "hydra.verbose=false"]
    _, without = sweep(*overrides)
    code, folder = sweep("hydra/sweeper=basic", "hydra.sweeper.max_batch_size=3", *overrides)
    assert code == 0
    assert [(job.number, job.varied, job.same_as) for job in read_sweep(folder).jobs] == [
        (job.number, job.varied, job.same_as) for job in read_sweep(without).jobs
    ]
    assert {file.name for file in folder.iterdir()} == {*(file.name for file in without.iterdir()), "multirun.yaml"}
    for number in ("0", "2"):
        assert (folder / number / "config.yaml").read_text() == (without / number / "config.yaml").read_text()


def test_failed_job_is_reported_and_resumable(here, sweep, capsys):
    code, folder = sweep("hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2", "seed=1,9,2")
    assert code == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-2] == "error: 1 of 2 jobs did not complete"
    assert told[-1] == f"  job 1 failed: ValueError: nine is no seed ({folder.relative_to(here)}/1)"
    assert not any("Traceback" in line for line in told)
    (here / "mended").touch()
    assert sweep(f"sweep.resume={folder}") == (0, folder)
    assert json.loads((folder / "1/run.json").read_text())["status"] == "completed"


def test_batch_problems_are_reported_before_start(here, sweep):
    with pytest.raises(ConfigurationError) as refused:
        sweep("hydra/sweeper=basic", "seed=1,-1", "loader.workers=x", "train.epochs=3")
    workers, seed = refused.value.problems
    assert workers == "loader.workers must be a whole number of at least 0, got 'x'"
    assert seed.endswith("got -1 (job 1: seed=-1 loader.workers=x train.epochs=3)")
    assert list((here / "outputs/sweeps").iterdir()) == []


def test_refused_batch_ends_the_sweep(here, sweep, capsys):
    with pytest.raises(ConfigurationError, match="seed must be a whole number"):
        sweep("hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2", "seed=1,2,-1")
    (folder,) = (here / "outputs/sweeps").iterdir()
    assert len(read_sweep(folder).jobs) == 2
    assert "2 jobs: 2 completed" in capsys.readouterr().out


def test_hydra_is_left_as_it_was(sweep):
    sweep("hydra/sweeper=narrowing", "seed=interval(1,2)")
    assert not GlobalHydra.instance().is_initialized()
    assert not HydraConfig.initialized()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["hydra/sweeper=narrowing", "sweep.search=random", "seed=interval(1,6)"],
            "sweep.search must not go with hydra/sweeper: only one of them can propose the jobs; leave the other out",
        ),
        (
            ["hydra/sweeper=basic", "sweep.paired=[[seed,train.epochs]]", "seed=1,2", "train.epochs=1,2"],
            "sweep.paired must not go with hydra/sweeper: only one of them can propose the jobs; leave the other out",
        ),
        (
            ["hydra/sweeper=basic", "model=mpl", "seed=1,2"],
            "model must be one of application, cnn, cnn3d, custom, mlp, unet, got 'mpl'; did you mean 'mlp'?",
        ),
        (["hydra/sweeper=basic", "hydra.sweeper.rounds=3", "seed=1,2"], "hydra.sweeper.rounds: Key 'rounds' not in "
         "'BasicSweeperConf'"),
    ],
)  # fmt: skip
def test_unusable_keys_are_refused(overrides, message):
    with pytest.raises(ConfigurationError) as refused:
        prepare_sweep(overrides)
    assert message in refused.value.problems


def test_unknown_sweeper_lists_available_ones():
    with pytest.raises(
        ConfigurationError, match="hydra/sweeper must be one of basic.*, narrowing.*, got 'nosuch'; install"
    ):
        prepare_sweep(["hydra/sweeper=nosuch", "seed=1,2"])


def test_sweeper_rejects_keys_in_its_own_words(here, sweep):
    with pytest.raises(ConfigurationError, match="BasicSweeper does not support sweep type : INTERVAL"):
        sweep("hydra/sweeper=basic", "seed=interval(1,2)")
    assert list(Path("outputs/sweeps").iterdir()) == []


def test_sweeper_needs_a_sweep():
    with pytest.raises(ConfigurationError) as refused:
        prepare(["hydra/sweeper=basic"])
    assert refused.value.problems == ("hydra/sweeper=basic is for sweeps; add -m to start one, or leave it out",)


def test_interrupted_sweeper_leaves_a_table(here, sweep, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.commands.hydra_sweeper.run_jobs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep("hydra/sweeper=narrowing", "seed=interval(1,6)")
    (folder,) = (here / "outputs/sweeps").iterdir()
    assert not read_sweep(folder).is_running
    assert "2 jobs: 2 waiting" in capsys.readouterr().out
