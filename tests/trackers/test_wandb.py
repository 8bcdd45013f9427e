"""Runs of Weights & Biases in a run's folder, read as wandb's own messages."""

import json
import os
import socket
import struct

import psutil
import pytest

from runner import compose
from runner.modes.run import run
from runner.records.metrics import MetricsTable
from runner.trackers.base import RunEnd, RunStart
from runner.trackers.wandb import WandB

wandb = pytest.importorskip("wandb")
pytestmark = pytest.mark.filterwarnings("default")  # those of wandb's own code

BLOCK, HEADER, WHOLE, LAST = 1 << 15, struct.Struct("<IHB"), 1, 4


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own: no key, no settings, and no network to be found."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a_run").mkdir()
    return tmp_path / "a_run"


def messages(data):
    """The messages of a file of wandb's, which is a log as LevelDB has it: in blocks of 32 KiB, a message in pieces."""
    assert data.startswith(b":W&B")
    position, message = 7, b""
    while position < len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER.size:
            position += left
            continue
        _, length, kind = HEADER.unpack_from(data, position)
        position += HEADER.size + length
        message += data[position - length : position]
        if kind in (WHOLE, LAST):
            yield message
            message = b""


def records(folder):
    """What lies in the files of a run, oldest first."""
    from wandb.proto.wandb_internal_pb2 import Record

    for file in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        yield from map(Record.FromString, messages(file.read_bytes()))


def history(folder):
    """Each logged step with its values, without wandb's own."""
    for record in records(folder):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            yield values["_step"], {key: value for key, value in values.items() if not key.startswith("_")}


def of_kind(folder, kind):
    return [getattr(record, kind) for record in records(folder) if record.WhichOneof("record_type") == kind]


def services():
    return [child for child in psutil.Process().children(recursive=True) if "wandb-core" in child.name()]


def test_offline_run_logs_everything(folder):
    (folder / "config.yaml").write_text("seed: 0\n")
    tracker = WandB(project="digits", entity="us", group="first").build()
    named = {"name": "first try", "words": ("old", "small"), "note": "fewer weights"}
    kept = tracker.begin(RunStart(folder, {"train.epochs": 2, "loader": "x"}, tags={"git_commit": "abc"}, **named))
    tracker.epoch(1, {"loss": 0.5, "val_loss": None})
    tracker.epoch(2, {"loss": 0.25, "val_loss": 1.0})
    tracker.end(RunEnd("completed", {"evaluate.accuracy": 0.75}, (folder / "config.yaml",)))
    assert kept["at"] == str(folder / "wandb")
    assert list(history(folder)) == [(1, {"loss": 0.5}), (2, {"loss": 0.25, "val_loss": 1.0})]
    run = of_kind(folder, "run")[0]
    assert (run.run_id, run.display_name) == (kept["id"], "first try")
    assert (list(run.tags), run.notes) == (["old", "small"], "fewer weights")
    assert (run.project, run.entity, run.run_group) == ("digits", "us", "first")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["train.epochs"], config["git_commit"]) == (2, "abc")
    summary = {item.key: item.value_json for record in of_kind(folder, "summary") for item in record.update}
    assert (summary["evaluate.accuracy"], summary["status"]) == ("0.75", '"completed"')
    assert [record.exit_code for record in of_kind(folder, "exit")] == [0]
    (saved,) = folder.glob("wandb/offline-run-*/files/a_run/config.yaml")
    assert saved.read_text() == "seed: 0\n" and not saved.is_symlink()


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("interrupted", 130)])
def test_incomplete_run_ends_with_a_code(folder, status, code):
    tracker = WandB().build()
    tracker.begin(RunStart(folder, {}))
    tracker.end(RunEnd(status, {}, ()))
    assert [record.exit_code for record in of_kind(folder, "exit")] == [code]


def test_resumed_run_keeps_its_id(folder):
    first = WandB().build()
    kept = first.begin(RunStart(folder, {"train.epochs": 1}))
    first.end(RunEnd("interrupted", {}, ()))
    table = MetricsTable(folder)  # a client that was killed had not written these epochs
    table.append(1, {"loss": 1.0})
    table.append(2, {"loss": 2.0})
    again = WandB().build()
    assert again.begin(RunStart(folder, {"train.epochs": 2}, kept=kept)) == kept
    again.epoch(2, {"loss": 2.0, "seconds": 1.0})  # done again after the kill
    again.epoch(3, {"loss": 3.0})
    again.end(RunEnd("completed", {}, ()))
    assert list(history(folder)) == [(epoch, {"loss": float(epoch)}) for epoch in (1, 2, 3)]
    assert {run.run_id for run in of_kind(folder, "run")} == {kept["id"]}
    assert [file.parts[-3] for file in folder.rglob("run-*.wandb")].count("wandb") == 1
    assert len(list(folder.glob("wandb.attempt1/offline-run-*/run-*.wandb"))) == 1


@pytest.mark.parametrize(("parts", "group"), [(("runs", "a_b"), ""), (("sweeps", "s", "12"), "s")])
def test_jobs_of_a_sweep_are_a_group(tmp_path, parts, group):
    folder = tmp_path.joinpath(*parts)
    folder.mkdir(parents=True)
    tracker = WandB().build()
    tracker.begin(RunStart(folder, {}))
    tracker.end(RunEnd("completed", {}, ()))
    assert of_kind(folder, "run")[0].run_group == group


def test_tracker_leaves_no_process_or_output(folder, capfd):
    tracker = WandB().build()
    tracker.begin(RunStart(folder, {}))
    assert len(services()) == 1
    tracker.end(RunEnd("completed", {}, ()))
    assert services() == []
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def server(monkeypatch):
    """A server that accepts connections and never answers, in the place of wandb's own and of any proxy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name in ("WANDB_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, address)
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        server.setblocking(False)
        yield server


def test_offline_nothing_is_sent(folder, server):
    tracker = WandB().build()
    tracker.begin(RunStart(folder, {}))
    tracker.epoch(1, {"loss": 1.0})
    tracker.end(RunEnd("completed", {}, ()))
    with pytest.raises(BlockingIOError):
        server.accept()


def test_silent_server_leaves_no_process(folder, server, monkeypatch):
    monkeypatch.setattr("runner.trackers.wandb.ANSWER_SECONDS", 2.0)
    tracker = WandB(mode="online").build()
    with pytest.raises(wandb.errors.CommError):
        tracker.begin(RunStart(folder, {}))
    server.accept()[0].close()  # the client connected
    assert services() == []


def test_online_without_a_key_is_reported(folder):
    with pytest.raises(wandb.errors.UsageError, match="[Nn]o API key"):
        WandB(mode="online").build().begin(RunStart(folder, {}))
    assert services() == []


def test_whole_run_and_its_resume_are_one_run(folder, digits_root):
    keys = ["model=mlp", "model.hidden_units=[8]", "train.epochs=1", "data.limit=64", "tracker=wandb"]
    record = run(compose([f"data.root={digits_root}", *keys]), folder=folder)
    run(compose([f"resume={folder}", "train.epochs=2"]))
    assert [step for step, _ in history(folder)] == [1, 2]
    assert {each.run_id for each in of_kind(folder, "run")} == {record.document["tracker"]["wandb"]["id"]}
    assert services() == []
