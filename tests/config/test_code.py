"""Problems of the user's modules are found by reading them, before there is a run folder."""

from pathlib import Path

import pytest

from runner import compose
from runner.__main__ import execute

KEYS = ("model=custom", "extensions=[mine_r]")


@pytest.fixture
def module(workplace):
    def write(text):
        Path("mine_r.py").write_text(f"raise SystemExit('imported')\n{text}")

    return write


def told(problems, *keys):
    return [text.replace(f"{Path.cwd()}/", "") for text in problems(*KEYS, *keys)]


DEFINING = {
    "function": "def build(): ...",
    "class": "class build: ...",
    "value": "build = other = 3",
    "import": "from os import path as build",
    "star": "from os import *",
    "getattr": "def __getattr__(name): ...",
    "if": "if 1:\n    x = 1\nelse:\n    def build(): ...",
    "try": "try:\n    import nowhere as build\nexcept ImportError:\n    build = None",
    "handler": "try:\n    pass\nexcept ImportError:\n    def build(): ...",
    "with": "with open('x') as build: ...",
    "match": "match 1:\n    case 1:\n        def build(): ...",
    "tuple": "a, (build, *b) = 1, (2, 3)",
}


@pytest.mark.parametrize("text", DEFINING.values(), ids=DEFINING)
def test_name_that_a_module_defines_is_found(module, problems, text):
    module(text)
    assert told(problems, "model.target=mine_r.build") == []


@pytest.mark.parametrize("text", ["", "def make():\n    build = 3", "class A:\n    def build(self): ..."])
def test_undefined_name_in_module_is_reported(module, problems, text):
    module(text)
    assert told(problems, "model.target=mine_r.build") == [
        "model.target=mine_r.build must be in mine_r.py, which has no 'build'; define it there, or correct the name"
    ]


def test_similar_name_is_suggested(module, problems):
    module("def build_model(): ...\ndef change(array, rng): ...")
    assert told(problems, "model.target=mine_r.buildmodel", "data.transform=mine_r.chang") == [
        "data.transform=mine_r.chang must be in mine_r.py, which has no 'chang'; did you mean 'mine_r.change'?",
        "model.target=mine_r.buildmodel must be in mine_r.py, which has no 'buildmodel'; did you mean "
        "'mine_r.build_model'?",
    ]


def test_syntax_error_names_its_line(module, problems):
    module("def build(:")
    assert told(problems, "model.target=mine_r.build") == [
        "extensions must list modules that can be imported, got mine_r: invalid syntax (mine_r.py, line 2); fix it "
        "there"
    ]


def test_missing_packages_are_reported(module, problems):
    module("import os.path, keras, no_such\nfrom not_here.part import build\nif 0:\n    import neither")
    assert told(problems, "model.target=mine_r.build") == [
        "extensions must list modules that can be imported, got mine_r, which needs no_such and not_here; install them"
    ]


def test_no_folder_is_made(module, capsys):
    module("")
    assert execute([*KEYS, "model.target=mine_r.build"]) == 2
    assert "which has no 'build'" in capsys.readouterr().err
    assert not Path("outputs/runs").exists()


PAIR = "data=none and loader=custom must go together: the loader's class or function makes the batches; got "


def test_custom_loader_needs_no_data(module, problems):
    module("batches = None")
    assert problems("data=none") == [f"{PAIR}data=none with loader=sequence"]
    keys = ["extensions=[mine_r]", "loader=custom", "loader.target=mine_r.batches"]
    assert problems(*keys) == [f"{PAIR}data=digits with loader=custom"]
    assert compose([*keys, "data=none"]).loader.kind == "custom"


def test_custom_loader_refuses_sample_settings(module, problems):
    module("batches = None")
    keys = ["extensions=[mine_r]", "data=none", "loader=custom", "loader.target=mine_r.batches"]
    check = "mode=check needs samples to read, got data=none; mode=fit checks each batch"
    assert problems(*keys, "mode=check") == [check]
    assert problems(*keys, "train.class_weight=balanced") == [
        "train.class_weight must list its classes with data=none, whose samples are not counted, got balanced; "
        "give train.class_weight={cat: 1.0, dog: 5.0}"
    ]


def test_steps_of_a_missing_split_are_refused(module, problems):
    module("batches = None")
    keys = ["extensions=[mine_r]", "data=none", "loader=custom", "loader.target=mine_r.batches"]
    assert problems(*keys, "loader.test_steps=3") == [
        "loader.test_steps needs test_arguments; set loader.test_arguments={} if it takes none"
    ]
