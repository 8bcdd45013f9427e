"""Whole runs on real files: what they leave behind, whatever the strategy and however they end."""

import csv
import json

import numpy as np
import pytest
import yaml

from runner import compose
from runner.errors import BadSampleError, ConfigurationError, DataError
from runner.records.trace import read_trace
from runner.running import build_loader, run

QUICK = ["train.epochs=2", "loader.workers=2", "model.filters=[8]", "model.dense_units=16"]


@pytest.fixture
def quick(digits_root):
    """A configuration of a short run over the digits."""
    return lambda *overrides: compose([f"data.root={digits_root}", *QUICK, *overrides])


def rows(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def documents(folder):
    return json.loads((folder / "run.json").read_text())


def test_run_leaves_a_complete_folder(quick, folder):
    run(quick(), folder=folder)
    # A patch is there where the code that runs is not that of its commit.
    assert {file.name for file in folder.iterdir()} - {"code.patch"} == {
        "config.yaml", "run.json", "run.log", "metrics.csv", "predictions.csv", "model.keras", "checkpoints", "figures",
        "report.html", "trace.json", "contents",
    }  # fmt: skip
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {
        "best.keras",
        "last.keras",
        "state-000000000080.npz",
    }


def test_run_records_how_it_went(quick, folder):
    record = run(quick("seed=5"), folder=folder)
    document = documents(folder)
    assert document == record.document
    assert document["status"] == "completed"
    assert document["seeds"] == {"seed": 5, "split_seed": 0}
    assert set(document["seconds"]) == {"data", "import", "build", "fit", "evaluate", "predict", "total"}
    assert document["results"]["fit"]["samples_seen"] == 2 * document["data"]["samples"]["train"]
    assert document["loader"]["kind"] == "sequence"


def test_metrics_have_a_row_per_epoch(quick, folder):
    run(quick(), folder=folder)
    table = rows(folder / "metrics.csv")
    assert [row["epoch"] for row in table] == ["1", "2"]
    assert list(table[0]) == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "samples_seen",
        "images_per_second", "wait_share",
    ]  # fmt: skip
    assert table[0]["learning_rate"] == "0.001"


@pytest.mark.parametrize("loader", ["sequence", "generator", "in_memory"])
def test_run_tells_its_wait_in_every_place(quick, folder, capsys, loader):
    wait = run(quick(f"loader={loader}"), folder=folder).document["results"]["fit"]["wait"]
    assert 0 < wait["share"] < 1
    assert wait["seconds"] > 0 and wait["first_batch_seconds"] > 0
    assert all(wait["reasons"][stage] > 0 for stage in ("read", "decode", "assemble"))
    assert wait["advice"].startswith("the model ")
    assert f"wait      {wait['advice']}\n" in capsys.readouterr().out
    assert all(0 < float(row["wait_share"]) < 1 for row in rows(folder / "metrics.csv"))
    model, *workers = read_trace(folder)
    assert len(workers) == (2 if loader == "sequence" else 0)
    assert {span.details["step"] for span in model.spans if span.name == "train"} == {*range(1, 41)}
    assert (folder / "figures" / "timeline.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("class_mode", ["categorical", "sparse"])
def test_accuracy_can_be_computed_again_from_the_predictions(quick, folder, class_mode):
    document = run(quick(f"data.class_mode={class_mode}"), folder=folder).document
    table = rows(folder / "predictions.csv")
    accuracy = np.mean([row["label"] == row["predicted"] for row in table])
    assert len(table) == document["data"]["samples"]["test"]
    assert accuracy == pytest.approx(document["results"]["evaluate"]["accuracy"], abs=1e-6)


def test_binary_accuracy_can_be_computed_again_from_the_predictions(quick, folder):
    document = run(quick("data.classes=['3','8']", "data.class_mode=binary"), folder=folder).document
    table = rows(folder / "predictions.csv")
    accuracy = np.mean([row["label"] == row["predicted"] for row in table])
    assert accuracy == pytest.approx(document["results"]["evaluate"]["accuracy"], abs=1e-6)
    assert {row["label"] for row in table} == {"3", "8"}


def test_reconstruction_is_told_by_its_error(quick, folder):
    document = run(quick("data.class_mode=input"), folder=folder).document
    table = rows(folder / "predictions.csv")
    error = np.mean([float(row["mean_squared_error"]) for row in table])
    assert error == pytest.approx(document["results"]["evaluate"]["loss"], rel=1e-3)


def test_predictions_stand_in_the_sources_order(quick, folder):
    config = quick()
    run(config, folder=folder)
    assert [row["id"] for row in rows(folder / "predictions.csv")] == list(build_loader(config, "test").source.ids)


@pytest.mark.parametrize(
    "loader",
    [
        ["loader=in_memory"],
        ["loader=generator"],
        ["loader=sequence", "loader.workers=0"],
        ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"],
        ["loader=directory_flow"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_every_loader_trains_the_same_model(quick, tmp_path, reference, loader):
    (tmp_path / "run").mkdir()
    digests = run(quick(*loader), folder=tmp_path / "run").document["digests"]
    assert digests == reference


@pytest.fixture(scope="module")
def reference(tmp_path_factory, digits_root):
    folder = tmp_path_factory.mktemp("reference")
    return run(compose([f"data.root={digits_root}", *QUICK]), folder=folder).document["digests"]


def test_another_seed_trains_another_model(quick, folder, reference):
    digests = run(quick("seed=1"), folder=folder).document["digests"]
    assert digests["ids"] != reference["ids"]
    assert digests["weights"] != reference["weights"]


@pytest.mark.parametrize(("steps", "epochs"), [(20, 4), (80, 1)])
def test_steps_per_epoch_change_the_reports_and_not_the_training(quick, folder, reference, steps, epochs):
    digests = run(quick(f"train.steps_per_epoch={steps}", f"train.epochs={epochs}"), folder=folder).document["digests"]
    assert {**digests, "weights_per_epoch": digests["weights_per_epoch"][-1:]} == {
        **reference, "weights_per_epoch": reference["weights_per_epoch"][-1:]
    }  # fmt: skip
    assert len(rows(folder / "metrics.csv")) == epochs


def test_early_stopping_ends_the_run(quick, folder):
    overrides = ["train.epochs=9", "train.early_stopping.patience=1", "train.learning_rate=1e-30"]
    document = run(quick(*overrides), folder=folder).document
    assert document["results"]["fit"]["stopped_early"]
    assert document["results"]["fit"]["epochs"] == len(rows(folder / "metrics.csv")) < 9


def test_mode_fit_stops_after_training(quick, folder):
    run(quick("mode=fit"), folder=folder)
    assert (folder / "model.keras").exists()
    assert not (folder / "predictions.csv").exists()


def test_resolved_configuration_composes_to_itself(quick, folder):
    config = quick()
    run(config, folder=folder)
    document = yaml.safe_load((folder / "config.yaml").read_text())
    assert type(config).model_validate_json(json.dumps(document)) == config


def test_without_a_test_split_validation_is_evaluated_and_said(quick, folder, capsys):
    document = run(quick("data.test_split=0"), folder=folder).document
    assert document["results"]["evaluate"]["split"] == "validation"
    assert "no test split: evaluating on validation" in capsys.readouterr().out


def test_without_any_held_out_split_nothing_is_evaluated_and_said(quick, folder, capsys):
    run(quick("data.test_split=0", "data.validation_split=0"), folder=folder)
    assert "no test or validation split" in capsys.readouterr().out


def test_bad_sample_fails_the_run_and_is_named(digits_root, tmp_path, folder):
    import shutil

    root = tmp_path / "digits"
    shutil.copytree(digits_root, root)
    bad = root / "3" / sorted(file.name for file in (root / "3").iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:40])
    with pytest.raises(BadSampleError, match=f"{bad}: "):
        run(compose([f"data.root={root}", *QUICK, "data.validation_split=0", "data.test_split=0"]), folder=folder)
    document = documents(folder)
    assert document["status"] == "failed"
    assert str(bad) in document["error"]["message"]


def test_interrupt_closes_the_record(quick, folder, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.stages.fit.fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(quick(), folder=folder)
    assert documents(folder)["status"] == "interrupted"


def test_in_memory_refuses_what_does_not_fit(quick, folder, monkeypatch):
    monkeypatch.setattr("runner.making.available_bytes", lambda: 50_000)
    with pytest.raises(
        DataError, match=r"loader=in_memory needs 1\d\d\.\d kB .* and 50\.0 kB are free; choose loader="
    ):
        run(quick("loader=in_memory"), folder=folder)


def test_unknown_monitor_is_refused_with_those_there_are(quick, folder):
    with pytest.raises(
        ConfigurationError, match=r"train.monitor must be auto or one of loss, accuracy, val_loss, val_acc"
    ):
        run(quick("train.monitor=val_acuracy"), folder=folder)


def test_run_makes_its_own_folder_and_links_it(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = run(quick("mode=fit", "train.epochs=1"))
    assert record.path.parent.parts[-2:] == ("outputs", "runs")
    assert (tmp_path / "outputs" / "latest").resolve() == record.path.resolve()


def test_keys_without_effect_are_said_once(quick, folder, capsys):
    run(quick("loader=generator", "mode=fit"), folder=folder)
    assert capsys.readouterr().out.count("note: loader.workers has no effect here") == 1


def test_build_loader_names_the_splits_there_are(quick):
    with pytest.raises(DataError, match="split must be one of train, validation, got 'test'"):
        build_loader(quick("data.test_split=0"), "test")
