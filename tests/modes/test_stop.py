"""The last lines of a run that stops early: how far it is, and the command that continues it."""

from types import SimpleNamespace

import pytest

from runner import compose
from runner.errors import (
    BadSampleError,
    ConfigurationError,
    LostRankError,
    RunnerError,
    StorageError,
    Terminated,
    TrainingError,
    UserReadError,
    WorkerError,
)
from runner.modes.stop import stop_lines

FROM_HERE, AGAIN = "continues from here", "starts again"


@pytest.fixture
def stopped(tmp_path):
    """The lines of a run of ten epochs that an error ended."""

    def lines(error, *keys, epochs=3, steps=(40, 54), parent="runs", mode="run", **record):
        folder = tmp_path / parent / "a"
        (folder / "checkpoints").mkdir(parents=True)
        for step in steps:
            (folder / f"checkpoints/state-{step:012}.npz").touch()
        rows = [f"{epoch},0.5" for epoch in range(1, epochs + 1)]
        (folder / "metrics.csv").write_text("\n".join(["epoch,loss", *rows]))
        opened = SimpleNamespace(path=folder, **{"is_held": False, "document": {"debug": {}}, **record})
        config = compose(["train.epochs=10", *keys])
        config = config if mode == "run" else config.model_copy(update={"mode": mode})  # else it needs an earlier run
        return [f"{label} {text}".replace(str(folder), "RUN") for label, text in stop_lines(config, opened, error)]

    return lines


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        Terminated(),
        WorkerError("died"),
        StorageError("gone"),
        RunnerError("cannot write run.json: No space left on device"),
        MemoryError(),
        UserReadError("s1", "a typo"),
        ZeroDivisionError("a bug"),
    ],
    ids=repr,
)
def test_stop_names_progress_and_next_command(error, stopped):
    assert stopped(error) == [
        "done 3 of 10 epochs; the state after 54 steps is saved",
        "next python -m runner resume=RUN",
        f" {FROM_HERE}",
    ]


def test_bad_sample_says_how_to_pass_over_it(stopped):
    assert stopped(BadSampleError("a.png", "torn"))[1:] == [
        "next python -m runner resume=RUN data.on_bad=skip",
        f" {FROM_HERE} without bad samples; mode=check lists all of them",
    ]


def test_bad_sample_of_any_rank_is_substituted(stopped):
    error = LostRankError("rank 1: a.png: torn", "BadSampleError")
    keys = ["backend=jax", "distribute.processes=2"]
    assert stopped(error, *keys)[1] == "next python -m runner resume=RUN data.on_bad=substitute"
    assert len(stopped(LostRankError("rank 1: killed by SIGKILL"), *keys, parent="b/runs")) == 1


@pytest.mark.parametrize("mode", ["run", "evaluate", "predict", "bench"])
def test_bad_sample_before_any_state_starts_again(mode, stopped):
    document = {"debug": {}, "argv": ["train=default"], "overrides": ["train=default"]}
    assert stopped(BadSampleError("a.png", "torn"), mode=mode, epochs=0, steps=(), document=document) == [
        "next python -m runner train=default data.on_bad=skip",
        f" {AGAIN} without bad samples; mode=check lists all of them",
    ]


def test_missing_file_of_a_table_names_data_root(stopped, tmp_path):
    (tmp_path / "table.csv").write_text("path,label\na.png,1\n")
    table = ["data=dataframe", f"data.manifest={tmp_path}/table.csv"]
    nothing = {"epochs": 0, "steps": (), "document": {"debug": {}, "argv": ["seed=1"], "overrides": ["seed=1"]}}
    note, *ways = stopped(BadSampleError("a.png", "no such file"), *table, **nothing)
    assert note.startswith(f"note paths in {tmp_path}/table.csv are relative to data.root, here {tmp_path}; set")
    assert ways == stopped(BadSampleError("a.png", "torn"), *table, **nothing, parent="b/runs")
    assert len(ways) == 2
    assert stopped(BadSampleError("a.png", "torn"), *table, "data.on_bad=skip", **nothing, parent="c/runs") == []


def test_without_a_state_training_starts_again(stopped):
    assert stopped(WorkerError("died"), steps=(), epochs=1) == [
        "done 1 of 10 epochs; no state is saved yet",
        "next python -m runner resume=RUN",
        f" {AGAIN}",
    ]


def test_own_code_is_given_again(stopped):
    keys = ["data=none", "loader=custom", "loader.target=json.load", "extensions=[json]"]
    assert stopped(KeyboardInterrupt(), *keys)[1:] == [
        "next python -m runner resume=RUN 'extensions=[json]' resume_inexact=true",
        f" {FROM_HERE}",
    ]


def test_loss_that_is_no_number_has_no_command(stopped):
    assert stopped(TrainingError("nan")) == ["done 3 of 10 epochs; the state after 54 steps is saved"]


@pytest.mark.parametrize(
    ("keys", "state"),
    [
        (["mode=check"], {}),
        ([], {"is_held": True}),
        ([], {"document": {"debug": {"mode": "fast"}}}),
        ([], {"epochs": 0, "steps": ()}),
    ],
)
def test_nothing_to_resume_is_not_mentioned(keys, state, stopped):
    assert stopped(ConfigurationError("refused"), *keys, **state) == []


def test_job_of_a_sweep_is_resumed_by_its_sweep(stopped):
    assert stopped(WorkerError("died"), parent="sweeps") == ["done 3 of 10 epochs; the state after 54 steps is saved"]
