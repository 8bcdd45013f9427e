"""`python -m runner.runs`: what is printed, and what is left."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import pytest

from runner import compose
from runner.errors import ConfigurationError, RunnerError
from runner.exit import guarded
from runner.records.config_yaml import write_config
from runner.records.metrics import MetricsTable
from runner.records.run_folder import RunFolder
from runner.records.summary import summarize
from runner.runs.__main__ import COMMANDS, HELP, execute
from runner.runs.query import OPTIONS

HEAVY = {"keras", "tensorflow", "jax", "pandas", "PIL", "cv2", "sklearn", "scipy", "matplotlib", "jinja2"}


@pytest.fixture
def answer(store, capsys):
    """What a command prints."""

    def ask(*texts):
        assert execute(texts) == 0
        return capsys.readouterr().out

    return ask


def test_help_names_every_command_and_option(answer):
    assert answer() == answer("--help") == answer("help") == HELP
    assert max(map(len, HELP.splitlines())) <= 80
    words = HELP.split()
    assert all(command in words for command in COMMANDS)
    assert all(f"{option}=" in HELP for options in OPTIONS.values() for option in options)


def test_list_shows_every_run(answer):
    table = answer("list")
    header, *lines = table.splitlines()
    assert header.split() == ["run", "status", "evaluate.accuracy", "evaluate.loss", "seconds.total", "overrides"]
    statuses = [line.split()[1] for line in lines]
    assert statuses == ["completed"] * 4 + ["failed", "killed", "unrecorded", "damaged"]
    assert lines[1].split()[2:4] == ["0.95", "0.05"]


def test_long_overrides_are_shown(answer, store):
    folder = store / "runs" / "2026-01-01_00-00-00_aaaaaa"
    typed = [f"data.classes=[{','.join(f'class {number}' for number in range(number))}]" for number in (30, 300)]
    (folder / "run.json").write_text(json.dumps(json.loads((folder / "run.json").read_text()) | {"overrides": typed}))
    summarize(RunFolder(folder), write=True)
    (row,) = (row for row in json.loads(answer("list", "format=json")) if row["run"] == folder.name)
    assert row["overrides"] == " ".join(typed)


def test_names_and_tags_are_shown_where_given(answer, make):
    make("2026-01-08_00-00-00_bcdefa", more={"name": "first try", "tags": ["old", "small"], "note": "fewer weights"})
    header, *lines = answer("list").splitlines()
    assert header.split()[:4] == ["run", "name", "tags", "status"]
    assert lines[-1].split()[1:6] == ["first", "try", "[old,", "small]", "completed"]
    assert len(answer("list", "tags=small").splitlines()) == 2
    shown = [line.split(None, 1) for line in answer("show", "bcdefa").splitlines()]
    assert shown[2:5] == [["name", "first try"], ["tags", "old, small"], ["note", "fewer weights"]]


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        (["loader=generator"], ["bbbbbb"]),
        (["loader=generator,sequence", "evaluate.accuracy>=0.9", "seed=0"], ["aaaaaa", "bbbbbb"]),
        (["results.evaluate.accuracy<0.9"], ["cccccc/10"]),
        (["status!=completed", "limit=2"], ["ffffff", "abcdef"]),
        (["sort=-val_loss", "status=completed", "limit=1"], ["bbbbbb"]),
        (["sort=-evaluate.accuracy", "evaluate.accuracy>0"], ["bbbbbb", "cccccc/0", "aaaaaa", "cccccc/10"]),
    ],
)
def test_list_takes_conditions_order_and_number(answer, conditions, found):
    rows = list(csv.DictReader(io.StringIO(answer("list", "format=csv", *conditions))))
    assert [row["run"].rpartition("_")[2] for row in rows] == found


def test_list_gives_requested_columns_exactly(answer):
    printed = answer("list", "columns=[loader,val_loss,split]", "format=json", "seed=1")
    (row,) = json.loads(printed)
    assert row == {
        "run": "2026-01-03_00-00-00_cccccc/0",
        "loader": "sequence",
        "val_loss": 0.30000000000000004,
        "split": None,
    }


def test_compare_shows_differences_and_results(answer):
    rows = json.loads(answer("compare", "aaaaaa", "bbbbbb", "format=json"))
    results = ["evaluate.accuracy", "evaluate.loss", "seconds.total"]
    assert list(rows[0]) == ["run", "status", "loader.kind", "train.epochs", *results]
    assert [row["train.epochs"] for row in rows] == [3, 2]


def test_compare_of_all_begins_with_the_newest(answer):
    listed = [row["run"] for row in json.loads(answer("compare", "status=completed", "format=json"))]
    assert answer("compare", "status=completed").split()[: len(listed) + 1] == ["run", *reversed(listed)]
    assert answer("compare", "aaaaaa", "bbbbbb").split()[1].endswith("aaaaaa")


def test_list_of_nothing_says_so(answer, tmp_path):
    assert (
        answer("list", f"output_dir={tmp_path}/none")
        == f"no runs below {tmp_path}/none, and python -m runner makes one\n"
    )
    assert answer("list", "seed=77").endswith(" match these conditions\n")
    assert json.loads(answer("list", "seed=77", "format=json")) == []


def test_diff_compares_part_by_part(answer):
    rows = json.loads(answer("diff", "aaaaaa", "bbbbbb", "format=json"))
    assert [(row["part"], row["key"]) for row in rows] == [
        ("config", "loader.kind"),
        ("config", "train.epochs"),
        ("results", "evaluate.accuracy"),
        ("results", "evaluate.loss"),
    ]
    assert [list(row.values())[2:] for row in rows][1] == [3, 2]


def test_diff_leaves_out_keys_without_a_value(answer, make):
    make("2026-01-08_00-00-00_bcdefa", more={"data": {"mask_suffix": "", "masks": "m"}})
    make("2026-01-09_00-00-00_cdefab", more={"data": {}})
    rows = json.loads(answer("diff", "bcdefa", "cdefab", "format=json"))
    assert [row["key"] for row in rows if row["part"] == "config"] == ["data.masks"]


def test_only_differing_keys_of_phases_are_shown(answer, make):
    plain = {"flip": None, "rotation": 0.0, "zoom": 0.0}
    for name, rotation in (("2026-01-08_00-00-00_bcdefa", 0.1), ("2026-01-09_00-00-00_cdefab", 0.2)):
        phases = [{"epochs": 1, "trainable": False, "augment": plain | {"rotation": rotation}}, {"epochs": 2}]
        make(name, more={"train": {"epochs": 3, "phases": phases}})
    make("2026-01-10_00-00-00_defabc", more={"train": {"epochs": 3, "phases": []}})
    rows = json.loads(answer("compare", "bcdefa", "cdefab", "format=json"))
    assert [key for key in rows[0] if key.startswith("train.")] == ["train.phases[0].augment.rotation"]
    assert [row["train.phases[0].augment.rotation"] for row in rows] == [0.1, 0.2]
    rows = json.loads(answer("diff", "bcdefa", "defabc", "format=json"))
    keys = [row["key"].removeprefix("train.phases") for row in rows if "phases" in row["key"]]
    assert keys == ["[0].epochs", "[0].trainable", "[0].augment.rotation", "[1].epochs", ""]


def test_diff_separates_code_packages_and_data(answer, store):
    file = store / "runs" / "2026-01-02_00-00-00_bbbbbb" / "run.json"
    document = json.loads(file.read_text())
    document["git"] = {"commit": "abc", "dirty": True}
    document["versions"]["numpy"] = "0.1"
    document["data"] = {"samples": {"train": 5}}
    document["digests"]["weights"] = "f" * 64
    file.write_text(json.dumps(document))
    found = answer("diff", "aaaaaa", "bbbbbb")
    for words in (["git", "commit"], ["versions", "numpy"], ["data", "samples.train"], ["digests", "weights"]):
        assert any(line.split()[:2] == words for line in found.splitlines()), words
    assert "ffffffffffff…" in found


def test_keys_unknown_to_an_old_run_are_defaults(answer, make):
    for name, epochs in (("new", 3), ("old", 2)):
        config = compose([f"train.epochs={epochs}", "train.validation_every=1"]).document()
        if name == "old":
            del config["resume_inexact"], config["train"]["validation_every"], config["data"]["transform_on"]
        folder = make(name)
        (folder / "config.yaml").unlink()
        write_config(folder, config)
    rows = json.loads(answer("diff", "new", "old", "format=json"))
    assert [row["key"] for row in rows] == ["train.epochs"]
    row, _ = json.loads(answer("compare", "new", "old", "format=json"))
    assert [key for key in row if key.startswith(("train", "data", "resume"))] == ["train.epochs"]


def test_compare_shows_known_speeds(answer, make):
    for name, share in (("fast", 0.01), ("slow", 0.5)):
        table = MetricsTable(make(name, loader=name))
        table.resume(0)
        table.append(1, {"images_per_second": 80.0, "wait_share": 0.9})
        table.append(2, {"images_per_second": 100.0, "wait_share": share})
    rows = json.loads(answer("compare", "fast", "slow", "format=json"))
    assert [(row["images_per_second"], row["wait_share"]) for row in rows] == [(100.0, 0.01), (100.0, 0.5)]
    lines = [line.split() for line in answer("compare", "fast", "slow").splitlines()]
    assert lines[0][0] == "run" and lines[0][1].endswith("fast") and lines[0][2].endswith("slow")
    assert ["images/s", "100", "100"] in lines and ["wait", "%", "1", "50"] in lines
    assert ["loader.kind", "fast", "slow"] in lines and not any("train.epochs" in line for line in lines)


def test_diff_keeps_silent_about_what_runs_took(answer, make):
    for name, share in (("one", 0.1), ("two", 0.2)):
        file = make(name) / "run.json"
        document = json.loads(file.read_text())
        took = {"cpu_seconds": share, "peak_memory_bytes": int(1e9 * share)}
        ranks = {"ranks": [{"rank": 0, "wait_share": share}]} if name == "two" else {}
        document["results"]["fit"] = {"steps": 3, **took, "wait": {"share": share, "advice": name}, **ranks}
        file.write_text(json.dumps(document))
    assert answer("diff", "one", "two").endswith("differ only in their times\n")
    assert "fit       steps 3  cpu_seconds 0.1  peak_memory_bytes 100000000\nwait      one\n" in answer("show", "one")


def test_diff_of_runs_that_are_alike_says_so(answer):
    assert answer("diff", "aaaaaa", "aaaaaa").endswith("differ only in their times\n")


def test_no_command_shows_a_secret(answer, make):
    for name, token in (("one", "ab"), ("two", "TYPEDSECRET")):
        folder = make(name)
        (folder / "config.yaml").unlink()
        write_config(folder, {"data": {"arguments": {"token": token}}})
        document = json.loads((folder / "run.json").read_text())
        document["overrides"] = [f"data.arguments.token={token}"]  # as an earlier version wrote it
        document["error"] = {"type": "ValueError", "message": "no login with TYPEDSECRET"}
        (folder / "run.json").write_text(json.dumps(document))
    commands = [["list"], ["list", "columns=[data.arguments.token]"], ["compare", "one", "two"], ["diff", "one", "two"]]
    for words in [*commands, ["show", "two"], ["show", "two", "format=json"]]:
        printed = answer(*words)
        assert "***" in printed and "token=ab" not in printed and "TYPEDSECRET" not in printed
    (row,) = json.loads(answer("diff", "one", "two", "format=json"))
    assert list(row.values()) == ["config", "data.arguments.token", "***", "***"]


def test_show_summarises_a_run(answer):
    shown = answer("show", "dddddd")
    assert "status    failed\n" in shown
    assert "error     ValueError: no\n" in shown
    assert "loader    sequence\n" in shown
    assert json.loads(answer("show", "cccccc/0", "format=json"))["config"]["seed"] == 1


def test_show_lists_what_each_resume_changed(answer, make):
    resumes = [{"overrides": ["resume=latest", keys]} for keys in ("train.epochs=4", "loader=in_memory")]
    file = make("2026-01-09_00-00-00_defabc") / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"resumed": resumes}))
    lines = answer("show", "defabc").splitlines()
    assert [line for line in lines if line.startswith("resumed")] == [
        "resumed   resume=latest train.epochs=4",
        "resumed   resume=latest loader=in_memory",
    ]


def test_show_breaks_lines_between_words(answer, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    lines = answer("show", "aaaaaa").splitlines()
    assert "last      epoch 3  loss 0.3" in lines and "          val_loss 0.4  seconds 3" in lines
    assert max(map(len, lines[2:])) <= 40


@pytest.mark.parametrize("name", ["eeeeee", "abcdef", "2026-01-06_00-00-00_ffffff"])
def test_show_reads_half_written_runs(answer, name):
    assert "status" in answer("show", name)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["metric=val_loss"], "eeeeee"),
        (["metric=val_loss", "status=completed", "loader=sequence"], "cccccc/10"),
        (["metric=evaluate.accuracy"], "bbbbbb"),
        (["metric=evaluate.accuracy", "goal=min"], "cccccc/10"),
        (["metric=seconds.total", "goal=min", "loader=generator"], "bbbbbb"),
    ],
)
def test_best_prints_one_folder(answer, words, found):
    printed = answer("best", *words)
    assert printed.count("\n") == 1
    assert printed.strip().endswith(found)
    assert printed.startswith("outputs/")


@pytest.fixture
def diverged(make):
    """Runs with losses of which two are NaN."""
    for name, loss in (("a", 0.5), ("b", float("nan")), ("c", 0.3), ("d", float("nan"))):
        make(f"2026-01-01_00-00-00_00000{name}", losses=(loss,), seed=9)


@pytest.mark.parametrize(("goal", "found"), [("min", "c"), ("max", "a")])
def test_best_is_never_a_run_with_nan(answer, diverged, goal, found):
    assert answer("best", "metric=val_loss", f"goal={goal}", "seed=9").strip()[-1] == found


@pytest.mark.parametrize(("sort", "order"), [("val_loss", "cabd"), ("-val_loss", "acbd")])
def test_nan_is_sorted_last(answer, diverged, sort, order):
    lines = answer("list", f"sort={sort}", "columns=[val_loss]", "seed=9").splitlines()[1:]
    assert "".join(line.split()[0][-1] for line in lines) == order


def test_only_nan_is_no_number(diverged):
    with pytest.raises(RunnerError, match="no matching run has a number for val_loss"):
        execute(["best", "metric=val_loss", "seed=9", "loss!=0.5", "loss!=0.3"])


def test_clean_names_and_only_then_removes(answer, store):
    named = answer("clean")
    assert [line.split()[0][-6:] for line in named.splitlines()[1:4]] == ["dddddd", "eeeeee", "abcdef"]
    assert named.splitlines()[-1].endswith("would be removed; add yes=true to remove them")
    assert (store / "runs" / "2026-01-04_00-00-00_dddddd").exists()
    assert answer("clean", "status=failed", "yes=true").splitlines()[-1].endswith("removed")
    left = {folder.name[-6:] for folder in (store / "runs").iterdir()}
    assert left == {"aaaaaa", "bbbbbb", "eeeeee", "ffffff", "abcdef"}


PROBLEMS = [
    (["lst"], ["command must be one of list, show, compare, diff, best, clean, page, got lst; did you mean 'list'?"]),
    (["list", "loder=x"], ["no run has the key 'loder'; did you mean 'loader'?"]),
    (
        ["list", "columns=[evaluate.acuracy]"],
        ["no run has the key 'evaluate.acuracy'; did you mean 'evaluate.accuracy'?"],
    ),
    (
        ["list", "format=xml", "limit=0", "columns=a", "a=["],
        [
            "a=[ cannot be read; close all brackets and quotes",
            "format must be one of table, csv, json, got xml",
            "columns must be a list of keys, [loader,val_loss], got a",
            "limit must be a whole number above 0, got 0",
        ],
    ),
    (["list", "latest"], ["latest must be KEY=VALUE or option=value: list takes no run"]),
    (["show", "aaaaaa", "seed=1"], ["show takes no conditions, got seed"]),
    (["list", "metric=loss"], ["unknown option 'metric' of list"]),
    (["diff", "aaaaaa"], ["diff takes 2 runs, got 1; see help"]),
    (["best"], ["best needs a metric to rank runs by; add metric=val_loss"]),
    (["best", "metric=seed"], ["best needs the direction of seed; add goal=max or goal=min"]),
]


@pytest.mark.parametrize(("texts", "problems"), PROBLEMS)
def test_all_bad_arguments_are_refused_at_once(store, texts, problems):
    with pytest.raises(ConfigurationError) as refused:
        execute(texts)
    assert list(refused.value.problems) == problems


def test_exit_codes(store, capsys):
    assert guarded(lambda: execute(["list", "limit=x", "format=y"]), what="the command line") == 2
    assert capsys.readouterr().err.startswith("error: 2 problems in the command line\n  format must")
    assert guarded(lambda: execute(["best", "metric=val_loss", "seed=99"])) == 1
    assert capsys.readouterr().err == "error: no matching run has a number for val_loss\n"


def test_empty_store_is_no_error(root, capsys):
    assert execute(["list"]) == 0
    assert execute(["clean"]) == 0
    assert "nothing to clean" in capsys.readouterr().out


def test_thousand_runs_are_listed_lightly(make, root):
    folder = make("2026-01-01_00-00-00_000000")
    for number in range(1, 1000):
        shutil.copytree(folder, folder.with_name(f"2026-01-01_00-00-00_{number:06x}"), copy_function=os.link)
    code = (
        "import sys; from runner.runs.__main__ import execute\n"
        "execute(['list', 'loader=sequence', 'val_loss<1'])\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root.parent, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1001
    assert not set(done.stderr.split()) & HEAVY
