"""Values of a run by key."""

import json

import pytest

from runner.records.run_folder import RunFolder, goal_of_metric

KEYS = {
    "run": "a",
    "seed": 0,
    "loader": "sequence",
    "loader.workers": 2,
    "train.optimizer": "adam",
    "status": "completed",
    "results.evaluate.accuracy": 0.9,
    "evaluate.accuracy": 0.9,
    "loss": 0.2,
    "val_loss": pytest.approx(0.3),
    "epoch": 3,
    "nothing": None,
    "seed.more": None,
    "split": None,
}


@pytest.mark.parametrize("key", KEYS)
def test_key_is_found_in_config_record_metrics(make, key):
    assert RunFolder(make("a")).value(key) == KEYS[key]


def test_column_without_a_goal_takes_last_epoch(make):
    folder = make("a")
    (folder / "metrics.csv").write_text("epoch,f,val_accuracy\n1,5,0.7\n2,3,0.6\n")
    assert (RunFolder(folder).value("f"), RunFolder(folder).value("val_accuracy")) == (3, 0.7)


@pytest.mark.parametrize(("averaged", "model"), [("true", "model.keras"), ("false", "checkpoints/best.keras")])
def test_averages_are_in_the_final_model(make, averaged, model):
    folder = make("a")
    (folder / "config.yaml").write_text(f"train: {{optimizer: {{use_ema: {averaged}}}}}")
    (folder / "checkpoints").mkdir()
    for name in ("checkpoints/best.keras", "model.keras"):
        (folder / name).touch()
    assert RunFolder(folder).model == model


def test_best_epoch_follows_the_goal(make):
    folder = make("a")
    (folder / "metrics.csv").write_text("epoch,f,val_f\n1,5,0.7\n2,nan,nan\n3,4,0.6\n")
    run = RunFolder(folder)
    assert [run.value("f", goal) for goal in ("max", "min")] == [5, 4]
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(document | {"goals": {"f": "max"}}))
    run = RunFolder(folder)  # as the run recorded it
    assert (run.value("f"), run.value("val_f")) == (5, 0.7)


def test_half_written_run_is_readable(store):
    folders = {folder.name[-6:]: folder for folder in (store / "runs").iterdir()}
    damaged, empty, killed = (RunFolder(folders[name]) for name in ("abcdef", "ffffff", "eeeeee"))
    assert [run.status for run in (damaged, empty, killed)] == ["damaged", "unrecorded", "killed"]
    assert [damaged.value(key) for key in ("loss", "loader", "results.evaluate.accuracy")] == [None, None, None]
    assert killed.value("loss") == 0.1


@pytest.mark.parametrize(
    ("metric", "goal"),
    [
        ("val_loss", "min"),
        ("bi_binary_accuracy", "max"),
        ("mean_absolute_error", "min"),
        ("where_mean_iou", "max"),
        ("f", None),
    ],
)
def test_goal_is_known_for_common_metrics(metric, goal):
    assert goal_of_metric(metric) == goal
