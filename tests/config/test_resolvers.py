"""`${json:FILE,KEY}`: parts of JSON files in the configuration, and what is said of those that are not there."""

import json
from pathlib import Path

import pytest

from runner import compose

KEYS = ["extensions=[mine_j]", "data=custom", "data.target=mine_j.Source"]


@pytest.fixture(autouse=True)
def partition(workplace):
    Path("mine_j.py").write_text("Source = None")
    Path("partition.json").write_text(json.dumps({"train": ["a", "b"], "held": {"out": ["c"]}, "size": 3}))


def test_parts_become_values_as_they_are():
    keys = [
        "ids=${json:partition.json,train}",
        "out=${json:partition.json,held,out}",
        "size=${json:partition.json,size}",
    ]
    arguments = compose([*KEYS, *(f"data.arguments.{key}" for key in keys)]).data.arguments
    assert arguments == {"ids": ["a", "b"], "out": ["c"], "size": 3}


def test_resolver_suggests_files_and_keys():
    config = compose(
        [*KEYS, "data.arguments.all=${json:partition.json}", "loader.batch_size=${json:partition.json,size}"]
    )
    assert config.data.arguments["all"]["held"] == {"out": ["c"]}
    assert config.loader.batch_size == 3


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("partition.json,test", "partition.json must have the key test, got train, held, size"),
        ("partition.json,held,in", "partition.json must have the key held.in, got out"),
        ("partition.json,train,0", "partition.json must have the key train.0, got no object at train"),
        ("nowhere.json", "nowhere.json must be a JSON file: [Errno 2] No such file or directory: 'nowhere.json'"),
    ],
)
def test_missing_part_is_reported(part, reason, problems):
    text = f"${{json:{part}}}"
    assert problems(*KEYS, f"data.arguments.ids={text}") == [
        f"data.arguments.ids must be a value that can be resolved, got {text!r}: {reason}"
    ]
