"""One model on two devices: the numbers of one device, in fit, evaluate and predict, and over a resume."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import runner
from runner.records.contents import read_contents
from runner.records.run_folder import RunFolder
from runner.reports.page import render
from tests.distribute.two_devices import CNN
from tests.support.masks import write_discs
from tests.support.run_files import outcome, read_document, read_rows, untimed_metrics

pytest.importorskip("jax")

NEARLY = 5e-6
"""Relative; sums of another order differ in the last bits of float32."""


@pytest.fixture(scope="module")
def torn(digits_root, tmp_path_factory):
    """The digits, of which every thirtieth cannot be read."""
    root = tmp_path_factory.mktemp("torn") / "digits"
    shutil.copytree(digits_root, root)
    for file in sorted(root.rglob("*.png"))[::30]:
        os.truncate(file, 40)
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory, torn):
    """The folder of all runs, and what the process printed."""
    folder, root = tmp_path_factory.mktemp("runs"), Path(__file__).parents[2]
    discs = write_discs(tmp_path_factory.mktemp("discs"), 20)
    command = [sys.executable, "-m", "tests.distribute.two_devices", *map(str, (folder, torn, discs))]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    *printed, last = ran.stdout.splitlines()
    return folder, json.loads(last) | {"printed": printed}


def scores(rows):
    """Losses and metrics of metrics.csv."""
    return np.array([[float(cell or 0) for cell in row.values()] for row in rows])


def probabilities(folder):
    rows = read_rows(folder / "predictions.csv")
    return [row["id"] for row in rows], np.array([list(map(float, list(row.values())[3:])) for row in rows])


@pytest.mark.parametrize("name", ["cnn", "options", "masks"])
def test_two_devices_give_the_losses_of_one(runs, name):
    one, two = (untimed_metrics(runs[0] / folder) for folder in (name, f"{name}-2"))
    assert scores(two) == pytest.approx(scores(one), rel=NEARLY)


def test_two_devices_see_the_batches_of_one(runs):
    one, two = (read_document(runs[0] / name) for name in ("cnn", "cnn-2"))
    assert two["digests"]["ids"] == one["digests"]["ids"]
    assert two["digests"]["pixels"] == one["digests"]["pixels"]
    assert two["results"]["fit"]["samples_seen"] == one["results"]["fit"]["samples_seen"] == 250


def test_later_epochs_compile_nothing(runs):
    first, *later = runs[1]["compiled"]["options"]
    assert later and set(later) == {0} and first > 0


def test_two_devices_evaluate_like_one(runs):
    one, two = (read_document(runs[0] / name)["results"]["evaluate"]["loss"] for name in ("cnn", "cnn-2"))
    assert two == pytest.approx(one, rel=NEARLY)


def test_two_devices_predict_like_one(runs):
    (ids, one), (ids_of_two, two), (_, again) = (
        probabilities(runs[0] / name) for name in ("cnn", "cnn-2", "predict-2")
    )
    assert ids == ids_of_two and len(ids) == 119  # of 125, without those that cannot be read
    assert two == pytest.approx(one, abs=1e-5) and again == pytest.approx(one, abs=1e-5)


def test_ranks_predict_an_earlier_run(runs, group):
    one, ranks, trained = (
        (folder / "predictions.csv").read_bytes()
        for folder in (runs[0] / "predict-1", runs[0] / "predict-ranks", group[0])
    )
    assert one == ranks == trained
    assert not list((runs[0] / "predict-ranks" / "ranks").iterdir())


def test_ranks_share_the_memory_of_their_host(runs):
    shares = [line for line in runs[1]["printed"] if line.endswith("of memory free for each of 2 processes")]
    assert len(shares) == 2  # of predict-ranks alone


def test_two_devices_predict_the_masks_of_one(runs):
    one, two = (read_document(runs[0] / name)["digests"]["masks"] for name in ("masks", "masks-2"))
    assert one == two


def test_resume_on_two_devices_is_exact(runs):
    assert outcome(runs[0] / "resumed") == outcome(runs[0] / "cnn-2")


def test_resume_goes_on_scaling_the_loss(runs):
    with np.load(sorted((runs[0] / "scaled" / "checkpoints").glob("*.npz"))[-1]) as state:
        alone = [name for name in state.files if name.startswith("optimizer") and not state[name].shape]
    assert len(alone) == 6  # of Adam and of the scale: iterations, rate, two of each, none of them twice


def test_resume_on_one_device_is_nearly_exact(runs):
    one, other = (untimed_metrics(runs[0] / folder) for folder in ("cnn-2", "fewer"))
    assert scores(other) == pytest.approx(scores(one), rel=NEARLY)


def test_record_lists_devices_of_each_attempt(runs):
    both, none = ({"processes": 1, "devices": devices} for devices in (["cpu:0", "cpu:1"], []))
    attempts = {
        name: read_document(runs[0] / name)["distribute"].get("attempts")
        for name in ("cnn", "cnn-2", "resumed", "fewer")
    }
    assert attempts == {"cnn": None, "cnn-2": [both], "resumed": [both, both], "fewer": [both, none]}


def test_page_lists_devices_of_each_attempt(runs):
    page = render(RunFolder(runs[0] / "fewer"))
    assert "This run trained on 2 devices together: <code>cpu:0</code>, <code>cpu:1</code>." in page
    assert "Resumed, it trained on one device." in page


def test_more_devices_than_there_are_are_refused(runs):
    assert runs[1]["refused"] == (
        "distribute.devices must be at most 2, as JAX finds 2 cpu devices, got 3; lower it, or give "
        "distribute.devices=all; for a try on a CPU, set XLA_FLAGS=--xla_force_host_platform_device_count=3 in the "
        "environment"
    )


def of_host(place, number, *keys):
    """A host of two that share the folder `place`."""
    keys = [*keys, "distribute.hosts=2", f"distribute.host={number}", "distribute.coordinator=localhost"]
    with (place / f"printed-{number}").open("wb") as printed:
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *keys], cwd=place, stdout=printed, stderr=subprocess.STDOUT
        )


def printed_by(place, number):
    return (place / f"printed-{number}").read_text()


@pytest.fixture(scope="module")
def group(runs, torn, tmp_path_factory):
    """Two hosts with a process each, then two processes on one host: the folder of the run, and what each host said.

    A rank is killed in the second step, and a signal to host 1 interrupts the next attempt; Python resumes it.
    """
    place, root = tmp_path_factory.mktemp("group"), Path(__file__).parents[2]
    keys = [*CNN, f"data.root={torn}", "train.checkpoint_every.steps=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("JAX_PLATFORMS", "cpu")
        patch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{root}")
        both = [of_host(place, number, *keys) for number in (0, 1)]
        while both[0].poll() is None and not list(place.glob("outputs/runs/*/checkpoints/state-*2.npz")):
            time.sleep(0.02)
        for child in psutil.Process(both[1].pid).children() if both[0].poll() is None else ():
            child.kill()
        while both[0].poll() is None and "start again" not in printed_by(place, 1):
            time.sleep(0.02)
        both[1].terminate()
        codes = [process.wait(300) for process in both]
        assert codes == [143, 143], printed_by(place, 0) + printed_by(place, 1)
        record = runner.run(runner.compose(["resume=latest", "distribute.processes=2"]))
        folder = record.path.resolve()
    assert record.document["status"] == "completed"
    return folder, [printed_by(place, number) for number in (0, 1)]


def test_processes_give_the_run_of_devices(runs, group):
    # A device predicts whole batches, so its last bits are those of one device: test_ranks_predict_an_earlier_run.
    predictions = {"predictions": None}
    assert outcome(group[0]) | predictions == outcome(runs[0] / "cnn-2") | predictions


def test_record_has_what_all_ranks_have_read(runs, group):
    folders = group[0], runs[0] / "cnn-2"
    of_group, alone = (read_document(folder)["data"] for folder in folders)
    assert of_group["contents"] == alone["contents"] and alone["contents"]["known"] > 300
    assert of_group["bad_samples"] == alone["bad_samples"]
    assert alone["bad_samples"].keys() == {"train", "validation", "test"}
    bad = [sorted(tuple(row.values()) for row in read_rows(folder / "bad_samples.csv")) for folder in folders]
    assert bad[0] == bad[1]
    tables = [read_contents(folder) for folder in folders]
    assert all(np.array_equal(tables[0][split], tables[1][split]) for split in ("train", "validation", "test"))


def test_hosts_start_again_after_a_death(group):
    document = read_document(group[0])
    assert all("rank 1 was killed by SIGKILL: all ranks start again" in said for said in group[1])
    first, *_, last = document["distribute"]["attempts"]
    assert (first["processes"], first["hosts"], last["processes"], last.get("hosts")) == (2, 2, 2, None)
    assert not (group[0].parents[1] / "hosts").exists()


def test_terminal_has_no_lines_of_libraries(group):
    assert not any("Gloo" in said or "rank 0 was" in said for said in group[1])
    assert "Gloo" in (group[0] / "ranks" / "0.log").read_text()


def test_signal_to_a_host_interrupts_all(group):
    assert all(said.rpartition("start again")[2].endswith("error: interrupted\n") for said in group[1])


def test_wait_of_each_rank_is_on_the_page(group):
    ranks = read_document(group[0])["results"]["fit"]["ranks"]
    assert [rank["rank"] for rank in ranks] == [0, 1]
    assert all(rank["wait_seconds"] >= 0 and rank["step_seconds"] > 0 for rank in ranks)
    page = render(RunFolder(group[0]))
    assert "waited longest, and all others waited for it" in page and "in 2 processes" in page


def test_ranks_leave_only_their_logs(group):
    assert sorted(path.name for path in (group[0] / "ranks").iterdir()) == ["0.log", "1.log", "done"]
