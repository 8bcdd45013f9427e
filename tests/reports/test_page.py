"""The page of real runs, and of what is left of them."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys

import pytest
import yaml

from runner import compose
from runner.errors import RunnerError, TrainingError
from runner.messages import format_bytes
from runner.modes.run import run
from runner.records.output import rounded
from runner.report import execute
from runner.reports import html
from runner.reports.html import REPORT_HTML, number, seconds
from runner.reports.page import write_report
from tests.support.clocks import calls_of
from tests.support.run_files import read_document, read_rows

pytestmark = pytest.mark.usefixtures("eager")  # but for the digits, which are trained before

HOSTILE = "<script>alert(1)</script>"
"""The name of a class of `table`."""


@pytest.fixture
def copy(digits, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(digits, folder)
    return folder


def test_page_has_status_config_and_results(digits, read):
    page, document = read(digits), read_document(digits)
    assert page.of("span", **{"class": "status completed"})
    accuracy = document["results"]["evaluate"]["accuracy"]
    assert f"test accuracy {rounded(accuracy)}" in page.text
    assert ["train.epochs", "2"] in page.tables["Configuration"]
    assert ["numpy", document["versions"]["numpy"]][1] in page.text


def test_page_shows_name_tags_and_note(copy, read):
    config = yaml.safe_load((copy / "config.yaml").read_text())
    named = {"name": "<first> try", "tags": ["old", "small"], "note": "with <fewer> weights"}
    (copy / "config.yaml").write_text(yaml.safe_dump(config | named))
    write_report(copy)
    page = read(copy)
    assert page.text.split()[:5] == ["<first>", "try", "completed", "<first>", "try"]
    assert f"{copy.name} · old · small · cnn" in page.text
    assert "with <fewer> weights" in page.text


def test_page_shows_only_a_known_command(copy, read):
    document = read_document(copy)
    (copy / "run.json").write_text(json.dumps(document | {"overrides": []}))
    write_report(copy)
    assert "No key was set on the command line" in read(copy).text
    (copy / "run.json").write_text(json.dumps(document | {"overrides": ["seed=1", "data.root=a b"]}))
    write_report(copy)
    assert "python -m runner seed=1 'data.root=a b'" in read(copy).text


def test_page_is_self_contained(digits, read):
    page = read(digits)
    (policy,) = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")
    addresses = [a[name] for _, a in page.elements for name in ("src", "href", "xlink:href") if a.get(name)]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert (digits / REPORT_HTML).stat().st_size < 420_000


def test_page_runs_only_its_own_scripts(digits, read):
    page = read(digits)
    (policy,) = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in page.scripts]
    assert policy["content"].partition("script-src ")[2].split() == [f"'sha256-{digest}'" for digest in digests]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_no_two_elements_have_the_same_id(digits, read):
    ids = [attributes["id"] for _, attributes in read(digits).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_samples_per_class_are_those_of_the_data(digits, read):
    header, *classes = read(digits).tables["Samples per class"]
    samples = read_document(digits)["data"]["samples"]
    assert header == ["class", *samples]
    assert [sum(int(row[column]) for row in classes) for column in (1, 2, 3)] == list(samples.values())


def test_confusion_matrix_matches_predictions(digits, read):
    page, predictions = read(digits), read_rows(digits / "predictions.csv")
    _, *matrix = page.tables["Confusion matrix"]
    for name, *counts in matrix:
        taken = [row["predicted"] for row in predictions if row["label"] == name]
        assert list(map(int, counts)) == [taken.count(str(other)) for other in range(10)]
    per_class = {row[0]: row for row in page.tables["Per class"][1:]}
    claimed = [row["label"] for row in predictions if row["predicted"] == "3"]
    assert per_class["3"][1] == f"{100 * claimed.count('3') / len(claimed):.1f}%"
    assert per_class["3"][4] == str(sum(row["label"] == "3" for row in predictions))


def test_worst_samples_are_pictured_first(digits, read):
    page, predictions = read(digits), read_rows(digits / "predictions.csv")
    wrong = [row for row in predictions if row["label"] != row["predicted"]]
    worst = sorted(wrong, key=lambda row: float(row[row["label"]]))[:12]
    pictured = [image["alt"] for image in page.of("img") if "title" not in image]
    assert pictured == [row["id"] for row in worst]
    assert sorted(row["id"] for row in read_rows(digits / "figures" / "worst.csv")) == sorted(pictured)


def test_examples_show_four_samples_per_class(digits):
    listed = read_rows(digits / "figures" / "examples.csv")
    assert [row["label"] for row in listed] == [str(number) for number in range(10) for _ in range(4)]
    assert all(row["id"].startswith(f"{row['label']}/") for row in listed)
    assert all((digits / "figures" / row["file"]).exists() for row in listed)


def test_curves_have_panels_and_alt_text(digits, read):
    labels = [figure["aria-label"] for figure in read(digits).of("figure", role="img")]
    assert [label.split(":")[0] for label in labels[:-1]] == [
        "loss", "accuracy", "images per second", "share of time waiting for data",
    ]  # fmt: skip
    assert "The same in every epoch: learning rate 0.001 ." in read(digits).text
    first, last = read_rows(digits / "metrics.csv")
    assert f"val_loss goes from {float(first['val_loss']):.4g} to {float(last['val_loss']):.4g}" in labels[0]


def test_wait_has_reasons_and_a_picture(digits, read):
    page, fit = read(digits), read_document(digits)["results"]["fit"]
    wait, memory = fit["wait"], format_bytes(fit["peak_memory_bytes"])
    assert f"took {seconds(fit['cpu_seconds'])} of CPU time and at most {memory} of memory" in page.text
    assert wait["advice"].removeprefix("t") in page.text
    assert [row[0] for row in page.tables["Waiting for data"][1:]] == ["fetch", "decode", "augment", "assemble"]
    (picture,) = page.of("figure", **{"class": "timeline"})
    assert picture["aria-label"].startswith("40 steps: the model waited ")
    assert all(f" {words}" in page.text for words in ("worker 1", "worker 2", "model waits for a batch"))


def test_page_without_timeline_has_the_numbers(copy, read):
    (copy / "trace.json").unlink()
    write_report(copy)
    page = read(copy)
    assert page.tables["Waiting for data"]
    assert page.of("figure", **{"class": "timeline"}) == []


def test_page_is_redrawn_from_files_alike(digits, tmp_path):
    elsewhere = tmp_path / digits.name
    shutil.copytree(digits, elsewhere)
    (elsewhere / REPORT_HTML).unlink()
    assert execute([str(elsewhere)]) == 0
    assert (elsewhere / REPORT_HTML).read_text() == (digits / REPORT_HTML).read_text()


def change(folder, **sections):
    """Write these sections into run.json, and draw the page."""
    document = read_document(folder)
    (folder / "run.json").write_text(json.dumps(document | sections))
    write_report(folder)


def test_file_content_is_shown_with_its_digest(copy, read):
    data = read_document(copy)["data"]
    assert (
        f"The record has the digests of all 1,797 files; their digest is {data['contents']['digest']} ."
        in read(copy).text
    )
    change(copy, data=data | {"contents": {"known": 12, "of": 1797, "digest": None, "files": {}}})
    assert "The record has the digests of 12 of 1,797 files." in read(copy).text
    change(copy, data={name: value for name, value in data.items() if name != "contents"})
    assert "The record has the digests" not in read(copy).text


@pytest.mark.parametrize("identical", [True, False])
def test_comparison_with_the_original_is_shown(identical, copy, read):
    verified = {
        "identical": identical,
        "compared": ["ids", "2 epochs of weights"],
        "not_compared": ["pixels: not recorded by the first run"],
        "first_difference": None if identical else "loss of epoch 1 in metrics.csv changed from 1 to 2",
        "differences": {} if identical else {"metrics": 1200},
        "changed": ["keras changed from version 1 to version 2"],
    }
    change(copy, rerun={"path": "outputs/runs/first"}, verified=verified)
    page = read(copy)
    assert "This is a rerun of outputs/runs/first ." in page.text
    assert "Compared: ids, 2 epochs of weights." in page.text
    assert "Not compared: pixels: not recorded by the first run." in page.text
    assert "keras changed from version 1 to version 2" in page.text
    assert ("First difference: loss of epoch 1 in metrics.csv changed from 1 to 2." in page.text) is not identical
    differences = page.tables.get("Comparison with the first run")
    assert differences == (None if identical else [["kind", "differences"], ["metrics", "1,200"]])


BATCHES = """
import numpy as np

def batches(count):
    for number in range(count):
        yield np.full((4, 3), number, "float32"), np.ones((4, 1), "float32")
"""


def test_page_of_ready_made_batches_counts_these(started, read, tmp_path, monkeypatch):
    (tmp_path / "made_for_pages.py").write_text(BATCHES)
    monkeypatch.chdir(tmp_path)
    keys = ["extensions=[made_for_pages]", "loader.target=made_for_pages.batches", "loader.train_arguments={count: 3}"]
    page = read(started("data=none", "loader=custom", *keys, "loader.train_steps=3", "model=mlp"))
    assert "Batches per epoch: 3 train. Each sample: 3 float32." in page.text
    assert "Samples per class" not in page.tables
    assert page.of("span", **{"class": "status completed"})


def test_page_takes_few_function_calls(copy):
    assert calls_of(write_report, copy) < 400_000


def test_page_is_drawn_without_matplotlib(copy):
    code = f"import sys; from runner.report import execute; execute([{str(copy)!r}]); print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "report    " in printed
    assert not {"matplotlib", "mpld3"} & set(printed.split())


def test_without_its_library_a_page_is_still(copy, read, monkeypatch):
    monkeypatch.setattr(html, "_library", lambda: None)
    write_report(copy)
    page = read(copy)
    assert "The charts are still" in page.text
    assert len(page.scripts) == 1
    assert page.charts["loss"]["lines"][0]["y"]
    assert {found.get("class") for found in page.of("path")} >= {"line first", "mark second", "ruled"}


def test_hostile_class_is_text(started, table, read):
    page = read(started(*table, "data.label_columns=[multi]"))
    assert len(page.scripts) == 4
    assert HOSTILE in [row[0] for row in page.tables["Per class"]]
    assert "a&b" in [row[0] for row in page.tables["Samples per class"]]


def test_every_head_has_a_section_of_its_own_kind(started, table, read):
    mode = "data.class_mode={bi: binary, multi: categorical, tags: multi_label, brightness: raw}"
    folder = started(*table, mode)
    page = read(folder)
    for head in ("bi", "multi", "tags", "brightness"):
        assert f"Predictions: {head}" in page.text
    labels = [region["aria-label"] for region in page.of("div", role="region")]
    assert "Scores per class: multi" in labels and len(set(labels)) == len(labels)
    assert "A sample may have several classes, so there is no confusion matrix." in page.text
    (scored,) = page.tables["Errors"][1:]
    assert scored[0] == "value"
    assert page.of("figure", **{"aria-label": "value: predicted over true values"})
    points = page.charts["value"]["lines"][1]
    assert points["texts"][0].startswith(read_rows(folder / "predictions.csv")[0]["id"])


def test_reconstruction_shows_greatest_errors(traced, started, table, read):
    folder = started(*table, "data.class_mode=input")
    page = read(folder)
    errors = {row["id"]: float(row["mean_squared_error"]) for row in read_rows(folder / "predictions.csv")}
    pictured = [image["alt"] for image in page.of("img") if "title" not in image]
    assert pictured == sorted(errors, key=errors.get, reverse=True)[:12]
    assert "the only score is the error of each sample" in page.text


def test_predictions_without_labels_are_counted(digits, digits_root, tmp_path, read):
    images, folder = tmp_path / "images", tmp_path / "run"
    shutil.copytree(digits_root / "3", images / "unknown")
    folder.mkdir()
    keys = ["data=directory", f"data.root={images}", "data.class_mode=null", "data.color_mode=grayscale"]
    run(compose(["mode=predict", f"from_run={digits}", *keys, "data.target_size=[8,8]"]), folder=folder)
    page = read(folder)
    assert "The data has no labels, so there are no scores." in page.text
    counted = page.tables["Predictions"][1:]
    assert sum(int(count) for _, count in counted) == len(read_rows(folder / "predictions.csv"))


def test_failed_run_shows_error_and_log_end(digits_root, tmp_path, read):
    with pytest.raises(TrainingError):
        run(compose([f"data.root={digits_root}", "train.learning_rate=1e30", "model=mlp"]), folder=tmp_path)
    page = read(tmp_path)
    assert "failed during fit" in page.text
    assert "TrainingError the loss became " in page.text
    assert "Traceback (most recent call last)" in page.text
    assert "<details><summary>End of run.log</summary>" in (tmp_path / "report.html").read_text()
    words = ("TrainingError the loss became ", "then start again", "Traceback (most recent call last)")
    places = [page.text.index(word) for word in words]
    assert places == sorted(places)
    assert "Samples as the model receives them" in page.text


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", None),
        ("run.json", '{"status": "running"}'),
        ("run.json", '{"sta'),
        ("config.yaml", None),
        ("config.yaml", "a: ["),
        ("metrics.csv", "epoch,loss\n1,x\n"),
        ("predictions.csv", "id,other\n1,2\n"),
        ("predictions.csv", "\ufffd"),
        ("run.log", None),
        ("figures/examples.csv", "x"),
        ("figures/classes.csv", "head,class,train\nlabel,a,b\n"),
        ("trace.json", "{"),
        ("trace.json", '{"traceEvents": [{"ph": "M", "tid": 0, "args": {"name": "x"}}]}'),
        ("figures/worst.csv", None),
        ("figures/worst/000.png", None),
    ],
)
def test_damaged_folder_has_a_partial_page(copy, file, content):
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_text(content)
    assert "<h1>" in write_report(copy).read_text()


def test_other_predictions_table_is_reported(copy, read):
    (copy / "predictions.csv").write_text("id,other\n1,2\n")
    write_report(copy)
    assert "predictions.csv do not match the heads of the run" in read(copy).text


def test_large_predictions_need_the_command(copy, read):
    write_report(copy, max_bytes=1000)
    page = read(copy)
    assert f"python -m runner.report {copy}" in page.text
    assert "Confusion matrix" not in page.text


def test_values_that_are_no_numbers_are_drawn(copy, read):
    (copy / "metrics.csv").write_text("epoch,loss,val_loss\n1,nan,\n2,inf,0.5\n")
    write_report(copy)
    assert "loss goes from nan to inf" in " ".join(f["aria-label"] for f in read(copy).of("figure", role="img"))


def test_no_run_fails_for_its_page(started, digits_root, monkeypatch, capsys):
    monkeypatch.setattr("runner.modes.run.write_report", lambda *_, **__: 1 / 0)
    started(f"data.root={digits_root}", "mode=fit", "model=mlp", "data.limit=60", "train.epochs=1")
    assert "cannot write the report: ZeroDivisionError: division by zero" in capsys.readouterr().out


def test_report_command_refuses_bad_arguments(tmp_path):
    with pytest.raises(RunnerError) as refused:
        execute(["a", "b", "format=csv"])
    assert refused.value.problems == (
        "unknown option 'format'; give output_dir",
        "report takes 1 run, got 2; see --help",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "true"), (1234, "1,234"), (0.5, "0.5"), (1e-5, "1e-05"), ([1, 2.0], "[1, 2]")],
)
def test_numbers_are_written_for_a_person(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(3.21, "3.2 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (None, "–")])
def test_durations_are_written_for_a_person(value, text):
    assert seconds(value) == text
