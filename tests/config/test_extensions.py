"""Modules of the user's own: listed on the command line alone, looked for, and not imported by a check."""

import json
from pathlib import Path

import pytest

from runner import compose
from runner.records.config_yaml import write_config

RUN = "outputs/runs/2026-01-01_10-00-00_aaaaaa"
CUSTOM = ("model=custom", "model.target=mine_c.build")


@pytest.fixture
def module(workplace):
    Path("mine_c.py").write_text("raise SystemExit('imported')\ndef build(): ...\nf = build\n")


def test_check_imports_nothing(module):
    config = compose(["extensions=[mine_c]", *CUSTOM])
    assert (config.extensions, config.model.target) == (("mine_c",), "mine_c.build")


def test_unlisted_modules_are_reported_together(module, problems):
    assert problems(*CUSTOM, "data.transform=f") == [
        "data.transform and model.target must be in a module that extensions lists, written my_module.f; got 'f' and "
        "'mine_c.build' with extensions=[]; add 'extensions=[my_module,mine_c]'"
    ]


def test_missing_extension_is_reported(module, problems):
    assert problems("extensions=[mine_x,mine_c]", "train.epochs=0") == [
        "train.epochs must be a whole number of at least 1, got 0",
        "extensions must list modules that can be imported, got mine_x, but there is no mine_x; put it into the "
        "working directory, or install it",
    ]


def test_file_cannot_list_modules(module, workplace, problems):
    workplace(conf__model__mine="# @package _global_\nextensions: [mine_c]\nmodel: {kind: custom, target: mine_c.f}\n")
    told = problems("model=mine")
    assert told[0] == "extensions must be given on the command line, got it in conf/model/mine.yaml; remove it there"
    assert "with extensions=[]" in told[1]
    assert problems("model=mine", "extensions=[mine_c]") == told[:1]


@pytest.mark.parametrize("base", ["from_run", "resume"])
def test_extensions_must_be_given_again(base, module, problems):
    folder = Path(RUN)
    (folder / "checkpoints").mkdir(parents=True)
    write_config(folder, compose(["extensions=[mine_c]", *CUSTOM]).document())
    facts = {"status": "failed", "stage": None, "data": {"heads": []}, "from_run": {}}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "model.keras").touch()
    keys = [f"{base}={RUN}", *(["mode=predict"] if base == "from_run" else [])]
    assert [text.partition(" (in")[0] for text in problems(*keys)] == [
        "model.target must be in a module that extensions lists, written my_module.f; got 'mine_c.build' with "
        "extensions=[]; add 'extensions=[mine_c]'"
    ]
    assert problems(*keys, "extensions=[mine_c]") == []


@pytest.mark.parametrize("name", ["build", "mine_c.", "mine_c.build()", "3 + 4"])
def test_invalid_dotted_name_is_reported(name, module, problems):
    assert problems("model=custom", f"model.target='{name}'") == [
        f"model.target must be a name like my_module.name, got '{name}'"
    ]


def test_missing_target_is_reported_once(problems):
    assert problems("data=custom") == ["data.target must be given, a name like my_module.name: data.target=…"]
