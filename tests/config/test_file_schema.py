"""The schemas for editors accept the files that they are meant for, and name what is wrong in others."""

import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from runner.__main__ import FLAGS, execute
from runner.choices import our_conf
from runner.config.file_schema import KINDS, file_schema

CHOICES = sorted(file for file in our_conf().rglob("*.yaml") if file.parent != our_conf())

FITTING = {
    "part of a group": ("loader", "defaults: [sequence]\nworkers: 12"),
    "interpolation": ("data", "kind: directory\nroot: ${oc.env:PHOTOS}\ntarget_size: ${size}"),
    "given later": ("data", "kind: directory\nroot: ???"),
    "experiment": (
        "experiment",
        "defaults:\n  - override /loader: generator\ntrain: {epochs: 2, optimizer: {name: sgd, momentum: 0.9}}\n"
        "data: {root: photos}\nmodel: {target: my_model.build}\nsweep: {jobs: 2}\nseed: 3",
    ),
    "one key": ("experiment", "train: {learning_rate: {name: cosine_decay, initial_learning_rate: 0.1}}"),
}
WRONG = {
    "misspelt key": ("loader", "kind: sequence\nworker: 1"),
    "key of another kind": ("model", "kind: mlp\nfilters: [1]"),
    "unknown kind": ("model", "kind: mpl"),
    "wrong type": ("train", "epochs: many"),
    "unknown group": ("experiment", "trian: {epochs: 1}"),
    "key of no kind": ("experiment", "data: {rooot: a}"),
}


@cache
def validator(kind):
    schema = file_schema(kind)
    check(json.dumps(schema | {"$defs": {}}))
    check(json.dumps({"$defs": schema["$defs"]}))
    return jsonschema.Draft202012Validator(schema)


@cache
def check(schema):
    """Check that a text is a JSON schema: once for what several schemas share, as it takes a second."""
    jsonschema.Draft202012Validator.check_schema(json.loads(schema))


def errors(kind, text):
    return [error.message for error in validator(kind).iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("file", CHOICES, ids=lambda file: f"{file.parent.name}={file.stem}")
def test_shipped_file_fits_its_schema(file):
    assert errors(file.parent.name, file.read_text()) == []
    assert file.read_text().startswith("#")


@pytest.mark.parametrize(("kind", "text"), FITTING.values(), ids=FITTING)
def test_file_of_a_user_fits(kind, text):
    assert errors(kind, text) == []


@pytest.mark.parametrize(("kind", "text"), WRONG.values(), ids=WRONG)
def test_wrong_file_is_refused(kind, text):
    assert errors(kind, text)


def test_schema_of_a_file_is_printed(capsys):
    assert execute(["--schema", "data"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "conf/data/*.yaml of keras-runner"
    assert FLAGS[("--schema",)]["choices"] == ["all", *KINDS]
    assert Path(our_conf(), "data").is_dir()
