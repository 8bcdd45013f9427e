"""The schema asked by key."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import schema
from runner.config.schema import Schema, json_schema
from runner.config.validation import validate
from runner.messages import did_you_mean, nearest, yaml_text

VALID = {"data": {"kind": "digits"}, "loader": {"kind": "sequence"}, "model": {"kind": "cnn"}, "train": {}}


@pytest.mark.parametrize(
    ("location", "key"),
    [
        (("loader", "sequence", "batch_size"), "loader.batch_size"),
        (("data", "digits", "target_size", 1), "data.target_size"),
        (("train", "early_stopping", "patience"), "train.early_stopping.patience"),
        (("train", "optimizer", "sgd", "momentum"), "train.optimizer.momentum"),
        (("train", "learning_rate", "constant"), "train.learning_rate"),
        (("train", "learning_rate", "schedule", "cosine_decay", "alpha"), "train.learning_rate.alpha"),
        (("data", "digits"), "data"),
        ((), ""),
    ],
)
def test_location_leads_to_its_key(location, key):
    assert Schema().locate(location).key == key


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"type": "integer"}, "a whole number"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "a number above 0 and of at most 1"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, "one of a, b, null"),
        ({"anyOf": [{"const": "auto"}, {"type": "boolean"}]}, "one of auto, true, false"),
        ({"anyOf": [{"type": "boolean"}, {"type": "integer"}]}, "true or false, or a whole number"),
        ({"type": "array", "items": {"type": "string"}}, "a list of texts"),
        ({"type": "string", "format": "directory-path"}, "a folder"),
        ({"type": "string", "format": "file-path"}, "a file"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "a mapping of numbers"),
    ],
)
def test_expected_value_is_described(node, words):
    assert Schema().expected(node) == words


def test_every_key_has_a_description():
    schema = Schema(described=True)
    for group in ("data", "loader", "model"):
        variants = schema.variants(schema.root["properties"][group])
        for component in variants.components.values():
            assert all("description" in node for key, node in component["properties"].items() if key != "kind")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = [key for key, _ in Schema().keys(json_schema(), VALID, closed=False)] + ["data", "loader.kind", "train.zzz"]


@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=4))
def test_any_values_are_validated(values):
    """Whatever is given, there are settings, or problems that are about what was given."""
    document = json.loads(json.dumps(VALID))
    for key, value in values.items():
        node = document
        *groups, name = key.split(".")
        for group in groups:
            node[group] = node[group] if isinstance(node.get(group), dict) else {}
            node = node[group]
        node[name] = value
    judgement = validate(document)
    assert judgement.settings is not None or judgement.problems
    assert all(problem.text and "\0" not in problem.key for problem in judgement.problems)


@given(st.text(), st.lists(st.text(min_size=1), min_size=1))
def test_nearest_is_one_of_the_words(word, words):
    assert nearest(word, words) in {None, *words}


def test_nearest_ignores_the_case():
    assert nearest("RGB", ["rgb", "grayscale"]) == "rgb"
    assert did_you_mean("rgb", ["rgb"]) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (True, "true"), ([1, "a"], "[1, 'a']"), ({"a": 0.5}, "{a: 0.5}"), ("a", "a")]
)
def test_values_are_shown_as_yaml_has_them(value, text):
    assert yaml_text(value) == text


def test_errors_need_no_texts_of_keys(problems, monkeypatch):
    def read(module):
        raise NotImplementedError(module)

    monkeypatch.setattr(schema, "_texts", read)
    assert problems("loader.batch_sise=2") == [
        "unknown key 'loader.batch_sise' for loader=sequence; did you mean 'loader.batch_size'?"
    ]
