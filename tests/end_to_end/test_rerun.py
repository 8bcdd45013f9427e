"""`rerun` and `verify`: the same run once more, and what is said where it is not the same."""

import contextlib
import csv
import io
import json
import os
import shutil
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from runner import compose
from runner.__main__ import execute
from runner.errors import ConfigurationError, VerifyError
from runner.modes.open_data import open_dataset
from runner.modes.run import run
from runner.modes.terminal import Terminal
from runner.modes.verify import verify
from runner.records.earlier import run_to_compare
from runner.records.metrics import MetricsTable
from runner.records.record import RunRecord
from runner.records.run_folder import read_run

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

QUICK = ["train.epochs=2", "model=mlp", "model.hidden_units=[8]", "loader.workers=2", "loader.batch_size=24"]
QUICK += ["train.optimizer={name: sgd}", "train.learning_rate=0.001"]  # Adam takes half of the time of a step


def save(pixels, file):
    """Write an image as a file of 1,000 bytes."""
    Image.fromarray(pixels).save(file)
    file.write_bytes(file.read_bytes().ljust(1000, b"\0"))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run over 60 photographs, and the photographs beside it."""
    root = tmp_path_factory.mktemp("first")
    random = np.random.default_rng(0)
    for name in ("cat", "dog", "emu"):
        (root / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 256, (10, 12, 3), np.uint8)
            save(pixels, root / "photos" / name / f"{number:02}.png")
    (root / "run").mkdir()
    data = ["data=directory", f"data.root={root}/photos", "data.target_size=[8,8]", "data.test_split=0.2"]
    return run(compose([*data, *QUICK]), folder=root / "run").path


@pytest.fixture(scope="module")
def second(first, tmp_path_factory):
    """The first run done once more and verified; its folder, and what it printed."""
    config, folder = compose([f"rerun={first}", "verify=true"]), tmp_path_factory.mktemp("second")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(config, folder=folder)
    return folder, printed.getvalue()


@pytest.fixture
def again(first, tmp_path):
    """Do the first run once more, verified; returns its record's document, or raises."""

    def repeat(*overrides, of=first, name="again"):
        (tmp_path / name).mkdir()
        return run(compose([f"rerun={of}", "verify=true", *overrides]), folder=tmp_path / name).document

    repeat.folder = tmp_path / "again"
    return repeat


@pytest.fixture
def copied(first, tmp_path):
    """A copy of the first run, to be changed; called with a function that changes its run.json."""

    def copy(change=lambda document: None):
        folder = tmp_path / "copied"
        shutil.copytree(first, folder)
        document = json.loads((folder / "run.json").read_text())
        change(document)
        (folder / "run.json").write_text(json.dumps(document))
        return folder

    return copy


def without_new_keys(folder):
    """Take keys out of config.yaml that an earlier version did not know."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["resume_inexact"], config["data"]["transform_on"], config["train"]["terminate_on_nan"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def against(second, tmp_path):
    """Compare the second run, as it is before its record is closed, with any run; its document, or raises."""

    def compare(of):
        shutil.copytree(second[0], compare.folder)
        config = compose([f"rerun={of}", "verify=true"])
        record = RunRecord.reopen(compare.folder, read_run(compare.folder))
        record.begin()
        error = verify(config, run_to_compare(of), record, open_dataset(config), Terminal())
        record.close("completed")
        if error:
            raise error
        return record.document

    compare.folder = tmp_path / "second"
    return compare


def test_recorded_order_of_classes_is_kept(copied, tmp_path):
    of = copied(lambda document: document["data"]["heads"][0]["class_names"].reverse())
    (tmp_path / "new").mkdir()
    document = run(compose([f"rerun={of}", "train.epochs=1", "mode=fit"]), folder=tmp_path / "new").document
    assert document["data"]["heads"][0]["class_names"] == ["emu", "dog", "cat"]


def difference(repeat, *overrides, **options):
    """The lines that name what is not the same; what run.json says is the same thing."""
    with pytest.raises(VerifyError) as error:
        repeat(*overrides, **options)
    assert error.value.exit_code == 3
    document = read_run(repeat.folder)
    assert document["status"] == "completed"
    assert document["verified"]["identical"] is False
    lines = str(error.value).splitlines()
    assert lines[0].endswith(document["verified"]["first_difference"])
    return lines


def test_second_run_is_identical_and_said_to_be(first, second):
    folder, printed = second
    assert_identical(read_run(folder), first)
    assert f"verify    identical to {first}: data (contents of 60 files), ids" in printed


@pytest.mark.parametrize("loader", [["loader.workers=0"], ["loader.kind=sequence", "loader.cache=memory"]])
def test_rerun_by_another_loader_is_identical(again, first, loader):
    assert_identical(again(*loader), first)


def assert_identical(document, first):
    assert document["rerun"] == {"path": str(first)}
    assert document["verified"]["identical"] is True
    assert document["verified"]["compared"] == [
        "data (contents of 60 files)", "ids", "pixels", "weights of 2 epochs", "6 columns of metrics", "evaluation",
        f"{len((first / 'predictions.csv').read_text().splitlines()) - 1} predictions",
    ]  # fmt: skip
    assert document["verified"]["not_compared"] == []
    assert document["digests"] == read_run(first)["digests"]


def test_changed_file_with_same_stat_is_named(again, first):
    file = first.parent / "photos" / "dog" / "07.png"
    before, status, other = file.read_bytes(), file.stat(), np.array(Image.open(file))
    other[0, 0] ^= 1
    save(other, file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    try:
        lines = difference(again)
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert lines[0].endswith(" content of dog/07.png changed")


def test_moved_data_is_the_same_data(again, first, tmp_path):
    shutil.copytree(first.parent / "photos", tmp_path / "moved", copy_function=shutil.copy)
    document = again(f"data.root={tmp_path}/moved")
    assert document["data"]["fingerprint"] != read_run(first)["data"]["fingerprint"]
    assert document["verified"]["identical"] is True


def test_sample_count_is_the_first_difference(again, first, tmp_path):
    shutil.copytree(first.parent / "photos", tmp_path / "fewer")
    (tmp_path / "fewer" / "cat" / "00.png").unlink()
    lines = difference(again, f"data.root={tmp_path}/fewer")
    assert ": number of samples changed from train " in lines[0]


def test_learning_rate_changes_epoch_1_weights(again):
    lines = difference(again, "train.learning_rate=0.01", "loader.workers=1")
    assert ": weights differ after epoch 1 (" in lines[0]
    assert "more differences: weights 2, metrics " in lines[1]
    assert lines[2] == "identical: data (contents of 60 files), ids, pixels"
    assert lines[3:] == ["likely cause: train.learning_rate changed from 0.001 to 0.01"]  # workers change no batch


def test_other_order_shows_first_in_the_ids(again):
    lines = difference(again, "seed=1")
    assert ": order of training samples differs (" in lines[0]
    assert "likely cause: seed changed from 0 to 1" in lines


def test_other_pixels_show_before_the_weights(again):
    lines = difference(again, "data.interpolation=nearest")
    assert ": pixels of every hundredth batch differ (" in lines[0]


def test_changed_metric_names_column_and_epoch(against, copied):
    folder = copied()
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    loss, rows[1]["val_loss"], rows[0]["seconds"] = rows[1]["val_loss"], "0.5", "99"
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    (line, *_) = difference(against, of=folder)
    assert line.endswith(f": val_loss of epoch 2 in metrics.csv changed from 0.5 to {loss}")


def test_changed_prediction_names_id_and_column(against, copied):
    folder = copied()
    with (folder / "predictions.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    value, rows[3][-1] = rows[3][-1], "0.25"
    with (folder / "predictions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    (line, *_) = difference(against, of=folder)
    assert line.endswith(f": {header[-1]} of {rows[3][0]} in predictions.csv changed from 0.25 to {value}")


def test_environment_changes_are_not_differences(against, copied, capsys):
    def change(document):
        document["packages"]["pillow"] = document["versions"]["pillow"] = "1.0"
        document["git"] = {"commit": "f" * 40, "dirty": False, "patch": None}

    changed = against(of=copied(change))["verified"]
    assert changed["identical"] is True
    assert [text.startswith("pillow changed from version 1.0 to ") for text in changed["changed"]] == [True, False]
    assert "code changed from commit ffffffffffff to " in changed["changed"][1]
    assert "identical although pillow" in capsys.readouterr().out


def test_record_of_earlier_version_is_compared(against, copied):
    def change(document):
        for section in ("packages", "environment"):
            del document[section]
        for key in ("weights_per_epoch", "pixels"):
            del document["digests"][key]
        del document["data"]["contents"], document["git"]["patch"], document["machine"]["gpus"]

    folder = copied(change)
    shutil.rmtree(folder / "contents")
    without_new_keys(folder)
    verified = against(of=folder)["verified"]
    assert verified["identical"] is True
    assert verified["not_compared"] == [
        "contents of 60 files: not recorded by the first run", "pixels: not recorded by the first run",
    ]  # fmt: skip
    assert "final weights" in verified["compared"]
    assert verified["changed"] == []


def test_killed_run_is_compared_as_far_as_it_came(against, copied):
    def change(document):
        document["status"], document["process"] = "running", {**document["process"], "pid": 2**22 + 1}
        document["digests"] = {"weights_per_epoch": document["digests"]["weights_per_epoch"][:1]}
        document["results"] = {}

    folder = copied(change)
    lines = (folder / "metrics.csv").read_text().splitlines()
    (folder / "metrics.csv").write_text("\n".join(lines[:2]))
    (folder / "predictions.csv").unlink()
    verified = against(of=folder)["verified"]
    assert verified["identical"] is True
    assert verified["compared"] == ["data (contents of 60 files)", "weights of 1 epoch", "6 columns of metrics"]


def test_fewer_epochs_compare_with_the_first(again):
    verified = again("train.epochs=1")["verified"]
    assert (verified["identical"], verified["compared"][1]) == (True, "weights of 1 epoch")
    assert "ids: the first run was configured for 2 epochs" in verified["not_compared"]


def test_rerun_of_resumed_run_trains_as_long(first, again, tmp_path):
    longer = tmp_path / "longer"
    shutil.copytree(first, longer)
    run(compose([f"resume={longer}", "train.epochs=3"]))
    assert len(read_run(longer)["digests"]["weights_per_epoch"]) == 3
    document = again(of=longer)
    assert document["results"]["fit"]["epochs"] == 3
    assert document["verified"]["identical"] is True


def test_evaluation_is_rerun_with_same_model(first, again, tmp_path):
    (tmp_path / "evaluated").mkdir()
    of = run(compose(["mode=evaluate", f"from_run={first}", "split=train"]), folder=tmp_path / "evaluated").path
    document = again(of=of)
    assert (document["results"]["evaluate"]["split"], document["from_run"]["path"]) == ("train", str(first))
    assert document["verified"]["compared"][1:] == ["evaluation"]


def test_extensions_must_be_allowed_again(first, tmp_path, monkeypatch):
    (tmp_path / "their_code.py").write_text("raise SystemExit('this was run')")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "foreign"
    shutil.copytree(first, folder)
    text = (folder / "config.yaml").read_text()
    assert "transform: null" in text and "extensions: []" in text
    (folder / "config.yaml").write_text(
        text.replace("transform: null", "transform: their_code.f").replace("extensions: []", "extensions: [their_code]")
    )
    with pytest.raises(ConfigurationError, match=r"data.transform and data.augment.transform must be in a module"):
        compose([f"rerun={folder}"])
    assert "their_code" not in sys.modules


def test_run_without_an_epoch_is_not_compared(first, copied, tmp_path):
    folder = copied(lambda document: document.update(status="failed", results={}))
    (folder / "metrics.csv").unlink()
    with pytest.raises(ConfigurationError, match=r"that completed an epoch, got .* \(failed\); leave verify"):
        run(compose([f"rerun={folder}", "verify=true"]), folder=tmp_path / "never")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["verify=true"], "verify must go with rerun, got no rerun; add rerun=RUN_DIR"),
        (["rerun={first}", "verify=true", "mode=check"], "verify must go with rerun, got mode=check"),
        (["rerun={first}", "resume={first}"], "re(sume and rerun|run and resume) must not go together"),
        (["rerun=nowhere"], "rerun must be an existing folder, got nowhere"),
    ],
)
def test_what_cannot_be_is_refused(overrides, problem, first):
    with pytest.raises(ConfigurationError, match=problem):
        compose([override.format(first=first) for override in overrides])


def test_rerun_of_a_rerun_is_one_of_the_same_run(again, second):
    config = compose([f"rerun={second[0]}"])
    assert (config.rerun, config.verify) == (second[0], False)
    assert again(of=second[0])["verified"]["identical"] is True


@pytest.fixture(scope="module")
def halfway(first, tmp_path_factory):
    """A rerun of the folder `of`, a copy of the first run, that was interrupted in its second epoch; both."""
    of, folder, append = tmp_path_factory.mktemp("copy") / "of", tmp_path_factory.mktemp("halfway"), MetricsTable.append
    shutil.copytree(first, of)
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(MetricsTable, "append", lambda *row: append(*row) if row[1] == 1 else _interrupt())
        run(compose([f"rerun={of}", "verify=true"]), folder=folder)
    assert (read_run(folder)["status"], read_run(folder)["verified"]) == ("interrupted", {})
    return of, folder


@pytest.fixture
def interrupted(first, halfway, tmp_path):
    """The run that is repeated, to be changed, and a copy of the rerun of it that was interrupted."""
    of, folder = halfway
    shutil.rmtree(of, ignore_errors=True)
    shutil.copytree(first, of)
    return of, shutil.copytree(folder, tmp_path / "interrupted")


def _interrupt():
    raise KeyboardInterrupt


def test_resumed_rerun_is_verified(interrupted):
    _, folder = interrupted
    document = run(compose([f"resume={folder}"])).document
    assert document["verified"]["identical"] is True
    assert "weights of 2 epochs" in document["verified"]["compared"]


def test_resumed_rerun_finds_a_difference(interrupted):
    of, folder = interrupted
    document = read_run(of)
    document["digests"]["weights_per_epoch"][1] = "f" * 64
    (of / "run.json").write_text(json.dumps(document))
    with pytest.raises(VerifyError, match="weights differ after epoch 2"):
        run(compose([f"resume={folder}"]))
    assert read_run(folder)["verified"]["identical"] is False


def test_rerun_resumes_without_its_original(interrupted):
    of, folder = interrupted
    shutil.rmtree(of)
    with pytest.raises(ConfigurationError) as refused:
        run(compose([f"resume={folder}"]))
    assert refused.value.problems[1:] == ("verify=false resumes without a comparison",)
    assert read_run(folder)["status"] == "interrupted"
    document = run(compose([f"resume={folder}", "verify=false"])).document
    assert (document["status"], document["verified"]) == ("completed", {})


def test_resume_verifies_reruns_only(copied):
    folder = copied(lambda document: document.update(status="interrupted"))
    with pytest.raises(ConfigurationError, match="verify needs a run that repeats another one .*, got .*copied"):
        run(compose([f"resume={folder}", "verify=true"]))


def test_difference_exits_with_3_and_is_named(first, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert execute([f"rerun={first}", "verify=true", "train.optimizer.momentum=0.5"]) == 3
    told = capsys.readouterr().err
    assert f"error: the run differs from {first}: weights differ after epoch 1" in told
    assert "likely cause: train.optimizer.momentum changed from 0.0 to 0.5" in told
    assert "Traceback" not in told


def test_run_that_still_runs_is_not_compared_with(copied, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = copied(lambda document: document.update(status="running", process={"host": "far", "pid": 7}))
    assert execute([f"rerun={folder}", "verify=true"]) == 2
    assert "verify must compare with a run that has ended" in capsys.readouterr().err
    assert not list((tmp_path / "outputs").rglob("*/*"))  # a refusal leaves no folder
