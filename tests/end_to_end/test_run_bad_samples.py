"""Whole runs over data with bad samples: what they come to, and what they leave behind."""

import json
import shutil

import pytest

from runner import compose
from runner.errors import BadSampleError, ConfigurationError, DataError
from runner.modes.run import run
from tests.support.photos import write_photos
from tests.support.run_files import read_document, read_rows, untimed_metrics

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

QUICK = ["train.epochs=2", "model=mlp", "model.hidden_units=[8]", "loader.batch_size=16", "data.target_size=[6,5]"]
QUICK += ["train.optimizer={name: sgd}"]  # Adam takes half of the time of a step
BAD = {"train": ["train/cat/03.png", "train/dog/05.png"], "validation": ["validation/dog/02.png"]}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Forty photos to train on and ten to validate with; three of them are cut off."""
    root = tmp_path_factory.mktemp("photos")
    write_photos(root, ("train/cat", "train/dog"), 20)
    write_photos(root, ("validation/cat", "validation/dog"), 5, seed=1)
    for names in BAD.values():
        for name in names:
            file = root / name
            file.write_bytes(file.read_bytes()[:60])
    return root


@pytest.fixture
def start(photos, tmp_path):
    """Starts a run in a folder of its own, or one that is resumed; its folder."""

    def begin(name, *overrides):
        folder = tmp_path / name
        if f"resume={folder}" not in overrides:
            folder.mkdir()
            overrides = ["data=directory", f"data.root={photos}", *QUICK, *overrides]
        return run(compose(list(overrides)), folder=folder).path

    return begin


@pytest.fixture(scope="module")
def replaced(photos, empty_pages, eager, tmp_path_factory):
    """A run that replaces bad samples by others, and was never stopped."""
    keys = ["data=directory", f"data.root={photos}", *QUICK, "data.on_bad=substitute", "loader=generator"]
    return run(compose(keys), folder=tmp_path_factory.mktemp("replaced")).path


def outcome(folder):
    """All that must be the same, however the samples were read."""
    told = read_document(folder)
    return (
        told["digests"],
        told["results"]["evaluate"],
        untimed_metrics(folder),
        (folder / "predictions.csv").read_bytes(),
    )


@pytest.mark.parametrize("choice", ["skip", "substitute"])
def test_run_skips_and_reports_bad_samples(choice, start, photos, capsys):
    folder = start("one", f"data.on_bad={choice}", "loader=generator")
    listed = {(row["split"], row["id"]): row for row in read_rows(folder / "bad_samples.csv")}
    assert set(listed) == {(split, name) for split, names in BAD.items() for name in names}
    row = listed["validation", "validation/dog/02.png"]
    assert row["path"] == str(photos / "validation/dog/02.png")
    told = read_document(folder)
    assert told["status"] == "completed"
    assert told["data"]["bad_samples"] == {"train": 2, "validation": 1}
    assert told["results"]["fit"]["samples_seen"] == 2 * (38 if choice == "skip" else 40)
    predicted = [row["id"] for row in read_rows(folder / "predictions.csv")]
    ids = [f"validation/{name}/{number:02}.png" for name in ("cat", "dog") for number in range(5)]
    assert predicted == [name for name in ids if name not in BAD["validation"]]
    labels = [row["label"] for row in read_rows(folder / "predictions.csv")]
    assert labels == [name.split("/")[1] for name in predicted]
    screen, log = capsys.readouterr().out, (folder / "run.log").read_text()
    assert screen.count(f"bad sample {row['path']}: {row['reason']}") == 1
    assert log.count(f"bad sample {row['path']}: {row['reason']}") == 1
    what = "left out" if choice == "skip" else "replaced by others"
    assert f"bad       train: 2 of 40 samples could not be read; {what}" in screen
    assert "          validation: 1 of 10 samples could not be read; left out" in screen
    other = start("other", f"data.on_bad={choice}", "loader=sequence", "loader.workers=2")
    assert outcome(other) == outcome(folder)


def test_evaluation_covers_remaining_samples(start, photos, tmp_path):
    folder = start("one", "data.on_bad=skip", "loader=generator", "train.epochs=1")
    clean = tmp_path / "clean"
    shutil.copytree(photos, clean)
    for names in BAD.values():
        for name in names:
            (clean / name).unlink()
    keys = ["mode=evaluate", f"from_run={folder}", f"data.root={clean}"]
    again = read_document(run(compose(keys), folder=_made(tmp_path / "clean run")).path)
    one_by_one = [*keys[:2], "loader.batch_size=1"]
    alone = read_document(run(compose(one_by_one), folder=_made(tmp_path / "alone")).path)
    expected = again["results"]["evaluate"]
    for given in (read_document(folder)["results"]["evaluate"], alone["results"]["evaluate"]):
        assert given["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        assert given["accuracy"] == expected["accuracy"]
    assert alone["data"]["bad_samples"] == {"validation": 1}


def _made(folder):
    folder.mkdir()
    return folder


def test_prediction_skips_fully_bad_batches(start, tmp_path):
    folder = start("one", "data.on_bad=substitute", "mode=fit")
    keys = ["mode=predict", f"from_run={folder}", "loader.batch_size=1", "split=train"]
    predicted = run(compose(keys), folder=_made(tmp_path / "predicted")).path
    ids = {row["id"] for row in read_rows(predicted / "predictions.csv")}
    assert len(ids) == 38
    assert not ids & set(BAD["train"])
    assert read_document(predicted)["data"]["bad_samples"] == {"train": 2}


def test_run_resumes_past_a_bad_sample(start, replaced, tmp_path):
    with pytest.raises(BadSampleError, match=r"\.png: "):
        start("died", "loader=generator", "train.checkpoint_every.steps=1")
    folder = tmp_path / "died"
    assert not (folder / "bad_samples.csv").exists()
    start("died", f"resume={folder}", "data.on_bad=substitute")
    assert outcome(folder) == outcome(replaced)
    never = shutil.copytree(replaced, tmp_path / "never")
    with pytest.raises(ConfigurationError, match=r"data\.on_bad changed from substitute to skip"):
        start("never", f"resume={never}", "data.on_bad=skip", "train.epochs=3")


def test_bad_sample_bound_ends_run_and_can_rise(start, replaced, tmp_path):
    keys = ["data.on_bad=substitute", "loader=generator", "train.checkpoint_every.steps=1"]
    with pytest.raises(
        DataError, match=r"^data\.max_bad=1 must cover all bad samples, got 2; .*\n.*\n.*png: "
    ) as raised:
        start("bound", *keys, "data.max_bad=1")
    assert raised.value.exit_code == 4
    folder = tmp_path / "bound"
    assert read_document(folder)["status"] == "failed"
    assert (
        read_document(folder)["data"]["bad_samples"]
        == {"train": 2}
        == {"train": len(read_rows(folder / "bad_samples.csv"))}
    )
    start("bound", f"resume={folder}", "data.max_bad=3")
    assert len(read_rows(folder / "bad_samples.csv")) == 3
    assert outcome(folder) == outcome(replaced)


def test_check_names_what_a_run_would_handle_bad(photos, tmp_path):
    keys = ["data=directory", f"data.root={photos}", "mode=check", "data.target_size=[6,5]"]
    with pytest.raises(DataError, match="data.on_bad=skip trains without 3 unreadable samples"):
        run(compose(keys), folder=_made(tmp_path / "check"))
    findings = json.loads((tmp_path / "check" / "check.json").read_text())["findings"]["unreadable"]
    named = {(sample["split"], sample["id"]) for finding in findings for sample in finding["samples"]}
    assert named == {(split, name) for split, names in BAD.items() for name in names}
    with pytest.raises(DataError) as raised:
        run(compose([*keys, "data.on_bad=skip"]), folder=_made(tmp_path / "again"))
    assert "on_bad" not in str(raised.value)
