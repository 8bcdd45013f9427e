"""Runs in an MLflow store, read by MLflow's own client."""

import socket
import time

import pytest

from runner.trackers.base import RunEnd, RunStart
from runner.trackers.mlflow import MLflow

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("default")  # those of MLflow's own code


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store") / "below" / "mlflow.db"


@pytest.fixture
def client(store):
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{store}")


@pytest.fixture
def tracker(store):
    return MLflow(uri=f"sqlite:///{store}", experiment="digits").build()


def test_run_logs_params_metrics_tags_and_files(tracker, client, store, tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch\n1\n")
    parameters = {f"key.{number}": number for number in range(150)} | {"long": "x" * 7000}
    named = {"name": "first try", "words": ("old", "small"), "note": "fewer weights"}
    kept = tracker.begin(RunStart(tmp_path, parameters, tags={"run_folder": str(tmp_path)}, **named))
    tracker.epoch(1, {"loss": 0.5, "val_loss": None, "f1(macro)": 0.1})
    tracker.epoch(2, {"loss": 0.25, "val_loss": 1.0, "f1(macro)": 0.2})
    tracker.end(RunEnd("completed", {"evaluate.accuracy": 0.75}, (tmp_path / "metrics.csv",)))
    run = client.get_run(kept["run_id"])
    assert client.get_experiment(run.info.experiment_id).name == "digits"
    assert (run.info.status, run.info.run_name) == ("FINISHED", "first try")
    assert len(run.data.params) == 151 and run.data.params["key.149"] == "149" and len(run.data.params["long"]) == 6000
    assert run.data.tags["run_folder"] == str(tmp_path)
    assert {"old", "small"} < set(run.data.tags) and run.data.tags["mlflow.note.content"] == "fewer weights"
    assert run.data.metrics == {"loss": 0.25, "val_loss": 1.0, "f1_macro_": 0.2, "evaluate.accuracy": 0.75}
    assert [(m.step, m.value) for m in client.get_metric_history(kept["run_id"], "loss")] == [(1, 0.5), (2, 0.25)]
    assert [file.path for file in client.list_artifacts(kept["run_id"])] == ["metrics.csv"]
    assert (store.parent / "mlflow-artifacts" / kept["run_id"] / "artifacts" / "metrics.csv").exists()


@pytest.mark.parametrize(("status", "told"), [("failed", "FAILED"), ("interrupted", "KILLED")])
def test_status_is_mlflows_word(tracker, client, tmp_path, status, told):
    kept = tracker.begin(RunStart(tmp_path, {}))
    tracker.end(RunEnd(status, {}, ()))
    assert client.get_run(kept["run_id"]).info.status == told


def test_resumed_run_goes_on_in_the_same_one(tracker, client, store, tmp_path):
    kept = tracker.begin(RunStart(tmp_path, {"a": 1}))
    tracker.epoch(1, {"loss": 1.0})
    tracker.end(RunEnd("interrupted", {}, ()))
    again = MLflow(uri=f"sqlite:///{store}", experiment="digits").build()
    assert again.begin(RunStart(tmp_path, {"a": 2}, kept=kept)) == kept
    assert client.get_run(kept["run_id"]).info.status == "RUNNING"
    again.epoch(1, {"loss": 1.0, "seconds": 2.0})  # done again after a kill
    again.epoch(2, {"loss": 2.0})
    again.end(RunEnd("completed", {}, ()))
    assert [m.step for m in client.get_metric_history(kept["run_id"], "loss")] == [1, 2]
    assert client.get_metric_history(kept["run_id"], "seconds") == []
    assert client.get_run(kept["run_id"]).info.status == "FINISHED"


def test_silent_server_is_abandoned(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        tracker = MLflow(uri=f"http://127.0.0.1:{server.getsockname()[1]}").build()
        began = time.monotonic()
        with pytest.raises(mlflow.exceptions.MlflowException, match="failed with exception"):
            tracker.begin(RunStart(tmp_path, {}))
        assert time.monotonic() - began < 15
