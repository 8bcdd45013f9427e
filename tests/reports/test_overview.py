"""The first screen: figures and the epochs they belong to, what the run is made of, and what to do next."""

import pytest

from runner.errors import BadSampleError
from runner.records.columns import Objective
from runner.records.config_yaml import write_config
from runner.records.metrics import MetricsTable
from runner.records.record import RunRecord
from runner.records.run_folder import RunFolder
from runner.reports.charts import best_row
from runner.reports.next_step import next_step
from runner.reports.overview import MAX_CHANGED, changed, facts, figures, progress
from runner.reports.page import ABSENT, write_report

LOSS = Objective("val_loss", "min")
CONFIG = {
    "mode": "run", "seed": 3, "extensions": [], "model": {"kind": "cnn"}, "loader": {"kind": "sequence"},
    "train": {"epochs": 3, "learning_rate": 0.001, "optimizer": {"name": "adam"}, "early_stopping": None},
    "data": {"kind": "digits", "target_size": [8, 8], "color_mode": "grayscale", "decode": "fast"},
}  # fmt: skip


class StoredError(Exception):
    """An error of a run."""


@pytest.fixture
def stored(tmp_path):
    """Writes what a run leaves that ended with some status; the run, run.json with its gaps, and its best epoch."""

    def store(status="completed", error=None, losses=(0.9, 0.5, 0.7), train=None, data_keys=None, **sections):
        folder = tmp_path / "outputs" / "runs" / "2026-01-01_00-00-00_aaaaaa"
        folder.mkdir(parents=True)
        config = CONFIG | {"train": CONFIG["train"] | (train or {}), "data": data_keys or CONFIG["data"]}
        write_config(folder, config)
        record, table = RunRecord.open(folder, backend="jax", overrides=["model=cnn"], **sections), MetricsTable(folder)
        for epoch, loss in enumerate(losses, 1):
            row = {"loss": loss, "val_loss": loss, "val_part_loss": loss, "val_accuracy": 1 - loss}
            table.append(epoch, row | {"images_per_second": 1000 * epoch})
        record.close(status, error)
        run = RunFolder(folder)
        return run, {**ABSENT, **run.document}, best_row(run.metrics, LOSS)

    return store


RESULTS = {
    "evaluate": {"split": "test", "loss": 0.25, "accuracy": 0.98765},
    "fit": {"wait": {"share": 0.031, "advice": ""}, "peak_memory_bytes": 986_000_000},
}


def test_figures_name_their_epochs(stored):
    assert [(figure.name, figure.text, figure.of) for figure in figures(*stored(results=RESULTS))] == [
        ("test accuracy", "0.9877", "epoch 3, the last"),
        ("test loss", "0.25", "epoch 3, the last"),
        ("val_loss", "0.5", "epoch 2, the best"),
        ("val_accuracy", "0.5", "epoch 2, the best"),
        ("wait", "3.1%", "of the training time"),
        ("images/s", "3,000", "epoch 3, the last"),
        ("peak memory", "986.0 MB", "with workers"),
    ]


def test_restored_weights_are_those_of_the_best(stored):
    run = stored(results=RESULTS, train={"early_stopping": {"restore_best_weights": True}})
    assert figures(*run)[0].of == "epoch 2, the best"


def test_model_and_data_are_one_line_each(stored):
    network = {"layers": 8, "weights": 99178, "trainable_weights": 99000}
    heads = [{"name": "", "class_names": ["a", "b"]}]
    data = {"samples": {"train": 1276, "test": 352}, "shape": [20, 20, 1], "dtype": "uint8", "heads": heads}
    loader = {"kind": "sequence", "batch_size": 32, "workers": 2, "use_multiprocessing": True}
    run, document, _ = stored(network=network, data=data, loader=loader, seeds={"seed": 3})
    assert facts(run, document) == [
        (
            "model",
            "cnn, 8 layers, 99,178 weights, 178 of them do not train · adam 0.001 · batches of 32"
            " · sequence, 2 processes · jax · seed 3",
        ),
        ("data", "1,276 train, 352 test · 2 classes · 20×20×1 uint8"),
    ]
    assert progress(run) == ["3 of 3 epochs"]


def test_changed_keys_are_listed_up_to_a_limit():
    keys = {f"train.key_{number}": [number, None] for number in range(MAX_CHANGED + 2)}
    shown, more = changed({"changed": keys})
    assert (shown[1], len(shown), more) == (("train.key_1", "[1, null]"), MAX_CHANGED, 2)


def step_of(run, document, best):
    step = next_step(run, document, best, LOSS)
    return step and (step.sentence, step.command)


NAME = "2026-01-01_00-00-00_aaaaaa"


@pytest.mark.parametrize(
    ("case", "sentence", "command"),
    [
        ({}, "To predict other images with the weights of epoch 2, the best by val_loss:",
         f"python -m runner mode=predict from_run={NAME} data=directory data.root=FOLDER data.class_mode=null"
         " 'data.target_size=[8,8]' data.color_mode=grayscale"),
        ({"data_keys": {"kind": "arrays"}},
         "To predict other samples with the weights of epoch 2, the best by val_loss:",
         f"python -m runner mode=predict from_run={NAME} data.path=FILE.npz data.class_mode=null"),
        ({"data_keys": {"kind": "custom"}},
         "To predict with the weights of epoch 2, the best by val_loss, with keys of data for other samples:",
         f"python -m runner mode=predict from_run={NAME}"),
        ({"losses": (3, 2, 1)}, "val_loss was best in the last epoch, so more epochs may help:",
         f"python -m runner resume={NAME} train.epochs=6"),
        ({"results": {"fit": {"wait": {"share": 0.4, "advice": "the model waited: set loader.cache=memory (all)"}}}},
         "The model waited: set loader.cache=memory (all):", "python -m runner model=cnn loader.cache=memory"),
        ({"results": {"fit": {"wait": {"share": 0.4, "advice":
          "it waited: raise loader.workers (now 1; this machine has 8 processors)"}}}},
         "It waited: raise loader.workers (now 1; this machine has 8 processors):",
         "python -m runner model=cnn loader.workers=8"),
        ({"status": "interrupted"}, "No state was saved yet; this command starts from the beginning:",
         f"python -m runner resume={NAME}"),
        ({"status": "failed", "error": StoredError("x"), "losses": ()},
         "Correct what the message names, then start again:", "python -m runner model=cnn"),
        ({"status": "failed", "error": BadSampleError("a.png", "x"), "losses": ()},
         "Repair the file, or start again without samples that cannot be read:",
         "python -m runner model=cnn data.on_bad=skip"),
        ({"status": "failed", "error": BadSampleError("a.png", "x")},
         "No state was saved yet; this command starts from the beginning, without samples that cannot be read:",
         f"python -m runner resume={NAME} data.on_bad=skip"),
        ({"status": "failed", "error": BadSampleError("a.png", "x"), "distribute": {"attempts": [{"processes": 2}]},
          "callbacks": {"without_state": ["LambdaCallback"]}},
         "No state was saved yet; this command starts from the beginning, without samples that cannot be read:",
         f"python -m runner resume={NAME} data.on_bad=substitute resume_inexact=true"),
    ],
)  # fmt: skip
def test_next_step_is_one_command(case, sentence, command, stored):
    assert step_of(*stored(**case)) == (sentence, command)


def test_stopped_run_says_first_what_to_do(stored, read):
    run, *_ = stored("interrupted", error=KeyboardInterrupt())
    (run.path / "run.log").write_text("Traceback\n")
    write_report(run.path)
    text = read(run.path).text
    assert "python -m runner model=cnn" in text
    said = ("Stopped by Ctrl-C", "No state was saved yet", "End of run.log", "val_loss 0.5")
    assert sorted(said, key=text.index) == list(said)


def test_page_has_a_table_of_contents(stored, read):
    run, *_ = stored(results=RESULTS, changed={"data.root": "<b>"})
    write_report(run.path)
    page = read(run.path)
    ids = [heading["id"] for heading in page.of("h2")]
    assert [link["href"] for link in page.of("a")] == [f"#{each}" for each in ids]
    assert "training" in ids
    assert "differs from the defaults: data.root <b>" in page.text
