"""Whole runs on real files: what they leave behind, whatever the strategy and however they end."""

import contextlib
import functools
import io
import json
import os
import shutil
import signal
from collections import namedtuple

import numpy as np
import pytest
import yaml

from runner import compose
from runner.errors import BadSampleError, ConfigurationError, DataError
from runner.modes.run import build_loader, run
from runner.records.summary import read_summary
from runner.records.trace import read_trace
from tests.support.pages import put
from tests.support.run_files import read_document, read_rows

pytestmark = pytest.mark.usefixtures("eager", "empty_pages")

QUICK = ["seed=5", "train.epochs=2", "loader.workers=2", "model=mlp", "model.hidden_units=[16]", "data.limit=192"]
QUICK += ["loader.batch_size=64", "train.optimizer={name: sgd}"]  # three steps per epoch


@pytest.fixture(scope="module")
def quick(digits_root):
    """A configuration of a short run over the digits."""
    return lambda *overrides: compose([f"data.root={digits_root}", *QUICK, *overrides])


class Ran(namedtuple("Ran", "config record printed")):
    """A run that is over: its configuration, its record, and the text it printed."""

    @property
    def folder(self):
        return self.record.path

    @property
    def document(self):
        return self.record.document


@pytest.fixture(scope="module")
def ran(quick, empty_pages, tmp_path_factory):
    """The short run of these overrides: done once, for all tests that look at it. One of them draws its page."""

    @functools.cache
    def start(*overrides):
        config = quick(*overrides)
        with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(io.StringIO()) as printed:
            put({} if overrides else empty_pages, patched)
            record = run(config, folder=tmp_path_factory.mktemp("run"))
        return Ran(config, record, printed.getvalue())

    return start


def test_run_leaves_a_complete_folder(ran):
    folder = ran().folder
    # A patch is there where the code that runs is not that of its commit.
    assert {file.name for file in folder.iterdir()} - {"code.patch"} == {
        "config.yaml", "run.json", "run.log", "metrics.csv", "predictions.csv", "model.keras", "checkpoints", "figures",
        "report.html", "trace.json", "contents", "summary.json", "system.csv",
    }  # fmt: skip
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {
        "best.keras",
        "last.keras",
        "state-000000000006.npz",
    }


def test_last_model_is_saved_once(ran):
    folder = ran().folder
    assert (folder / "model.keras").read_bytes() == (folder / "checkpoints/last.keras").read_bytes()


def test_run_records_how_it_went(ran):
    document = read_document(ran().folder)
    assert document == ran().document
    assert document["status"] == "completed"
    assert document["seeds"] == {"seed": 5, "split_seed": 0}
    assert set(document["seconds"]) == {"data", "import", "build", "fit", "evaluate", "predict", "total"}
    assert document["results"]["fit"]["samples_seen"] == 2 * document["data"]["samples"]["train"]
    assert document["loader"]["kind"] == "sequence"


def test_system_table_has_the_loss_at_the_end(ran):
    last = read_rows(ran().folder / "system.csv")[-1]
    assert (last["epoch"], last["step"]) == ("2", "6")
    assert 0 < float(last["loss"]) < 10


def test_metrics_have_a_row_per_epoch(ran):
    table = read_rows(ran().folder / "metrics.csv")
    assert [row["epoch"] for row in table] == ["1", "2"]
    assert list(table[0]) == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "samples_seen",
        "images_per_second", "wait_share",
    ]  # fmt: skip
    assert table[0]["learning_rate"] == "0.001"


@pytest.mark.parametrize("loader", ["sequence", "generator", "in_memory"])
def test_run_reports_its_wait_everywhere(ran, loader):
    told = ran() if loader == "sequence" else ran(f"loader={loader}")
    wait, folder = told.document["results"]["fit"]["wait"], told.folder
    assert 0 < wait["share"] < 1
    assert wait["seconds"] > 0 and wait["first_batch_seconds"] > 0
    assert all(wait["reasons"][stage] > 0 for stage in ("fetch", "decode", "assemble"))
    assert wait["advice"].startswith("the model ")
    assert f"wait      {wait['advice']}\n" in told.printed
    assert all(0 < float(row["wait_share"]) < 1 for row in read_rows(folder / "metrics.csv"))
    model, *workers = read_trace(folder)
    assert len(workers) in ((1, 2) if loader == "sequence" else (0,))  # a quick one may leave no batch to the other
    assert {span.details["step"] for span in model.spans if span.name == "train"} == {1, 2, 3}


def test_run_draws_where_it_waited(ran):
    assert (ran().folder / "figures" / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_reproduce_accuracy(ran):
    document, table = ran().document, read_rows(ran().folder / "predictions.csv")
    accuracy = np.mean([row["label"] == row["predicted"] for row in table])
    assert len(table) == document["data"]["samples"]["test"]
    assert accuracy == pytest.approx(document["results"]["evaluate"]["accuracy"], abs=1e-6)


def test_predictions_stand_in_the_sources_order(ran):
    ids = [row["id"] for row in read_rows(ran().folder / "predictions.csv")]
    with build_loader(ran().config, "test") as loader:
        assert ids == list(loader.source.ids)


@pytest.mark.parametrize(
    "loader",
    [
        ["loader=in_memory"],
        ["loader=generator"],
        ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"],
        ["loader=directory_flow"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_every_loader_trains_the_same_model(ran, loader):
    assert ran(*loader).document["digests"] == ran().document["digests"]


def test_another_seed_trains_another_model(ran):
    digests, reference = ran("seed=1").document["digests"], ran().document["digests"]
    assert digests["ids"] != reference["ids"]
    assert digests["weights"] != reference["weights"]


def test_steps_per_epoch_only_changes_reports(ran):
    told = ran("train.steps_per_epoch=2", "train.epochs=3")
    digests, reference = told.document["digests"], ran().document["digests"]
    assert {**digests, "weights_per_epoch": digests["weights_per_epoch"][-1:]} == {
        **reference, "weights_per_epoch": reference["weights_per_epoch"][-1:]
    }  # fmt: skip
    assert len(read_rows(told.folder / "metrics.csv")) == 3


FEW = ["data.limit=40"]


def test_early_stopping_ends_the_run(quick, folder):
    overrides = ["train.epochs=9", "train.early_stopping.patience=1", "train.learning_rate=1e-30", "mode=fit"]
    document = run(quick(*FEW, *overrides), folder=folder).document
    assert document["results"]["fit"]["stopped_early"]
    assert document["results"]["fit"]["epochs"] == len(read_rows(folder / "metrics.csv")) < 9


def test_resolved_configuration_is_a_fixed_point(ran):
    document, config = yaml.safe_load((ran().folder / "config.yaml").read_text()), ran().config
    assert type(config).model_validate_json(json.dumps(document)) == config


def test_missing_test_split_uses_validation(quick, folder, capsys):
    document = run(quick(*FEW, "data.test_split=0"), folder=folder).document
    assert document["results"]["evaluate"]["split"] == "validation"
    assert "no test split: evaluating on validation" in capsys.readouterr().out


def test_run_without_held_out_data_only_trains(quick, folder, capsys):
    run(quick(*FEW, "data.test_split=0", "data.validation_split=0"), folder=folder)
    assert "no test or validation split" in capsys.readouterr().out


def test_bad_sample_fails_the_run_and_is_named(digits_root, tmp_path, folder):
    root = tmp_path / "digits"
    shutil.copytree(digits_root, root)
    bad = root / "3" / sorted(file.name for file in (root / "3").iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:40])
    with pytest.raises(BadSampleError, match=f"{bad}: "):
        run(
            compose([f"data.root={root}", *QUICK, "data.validation_split=0", "data.test_split=0", "data.limit=null"]),
            folder=folder,
        )
    document = read_document(folder)
    assert document["status"] == "failed"
    assert str(bad) in document["error"]["message"]


def test_interrupt_closes_the_record(quick, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.training.loop.fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(quick(), folder=folder)
    assert read_document(folder)["status"] == "interrupted"
    printed = capsys.readouterr().out
    assert "done      0 of 2 epochs; no state is saved yet\n" in printed
    assert f"next      python -m runner resume={folder}\n          starts again\n" in printed


def test_signal_while_the_backend_starts_waits(quick, folder, monkeypatch):
    started = []

    def start(*args, **settings):
        os.kill(os.getpid(), signal.SIGINT)
        started.append(args)

    monkeypatch.setattr("runner.modes.context.start_backend", start)
    with pytest.raises(KeyboardInterrupt):
        run(quick(), folder=folder)
    assert started and read_document(folder)["status"] == "interrupted"


def test_in_memory_refuses_what_does_not_fit(quick, folder, monkeypatch):
    monkeypatch.setattr("runner.modes.pipeline.available_bytes", lambda **_: 50_000)
    with pytest.raises(
        DataError, match=r"loader=in_memory needs 1\d\d\.\d kB .* but only 50\.0 kB are free; choose loader="
    ):
        run(quick("loader=in_memory", "data.limit=null"), folder=folder)


def test_fit_makes_and_links_its_own_folder(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = run(quick(*FEW, "mode=fit", "train.epochs=1"))
    assert record.path.parent.parts[-2:] == ("outputs", "runs")
    assert (tmp_path / "outputs" / "latest").resolve() == record.path.resolve()
    assert (record.path / "model.keras").exists()
    assert not (record.path / "predictions.csv").exists()
    assert read_summary(record.path) is not None
    with pytest.raises(ConfigurationError, match="train.class_weight must name classes of the data"):
        run(quick("train.class_weight={cat: 2}"))
    assert [path.name for path in record.path.parent.iterdir()] == [record.path.name]  # a refusal leaves no folder
    assert (tmp_path / "outputs" / "latest").resolve() == record.path.resolve()


def test_keys_without_effect_are_said_once(ran):
    assert ran("loader=generator").printed.count("note: loader.workers has no effect with this loader") == 1


def test_build_loader_names_the_splits_there_are(quick):
    with pytest.raises(DataError, match="split must be one of train, validation, got 'test'"):
        build_loader(quick("data.test_split=0"), "test")
