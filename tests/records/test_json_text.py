"""Any document becomes JSON that every reader accepts."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.records import files
from runner.records.files import Sections, to_json

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Halves of surrogate pairs would join when read, in any JSON.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(PLAIN)
def test_plain_documents_read_back_equal(document):
    assert json.loads(to_json(document)) == document


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.arange(3), [0, 1, 2]),
        (np.array(2.5), 2.5),
        ((1, (2, 3)), [1, [2, 3]]),
        (Path("a/b"), "a/b"),
        (np.longdouble(0.5), "0.5"),
        ({1: {"x": (np.uint8(4),)}}, {"1": {"x": [4]}}),
    ],
)
def test_other_values_become_plain(value, plain):
    assert json.loads(to_json([value])) == [plain]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -np.inf, np.float32("nan")])
def test_non_finite_numbers_become_text(number):
    [text] = json.loads(to_json([number]))
    assert isinstance(text, str)
    np.testing.assert_equal(float(text), float(number))


def test_keys_keep_order_and_text_is_readable():
    assert to_json({"b": "Straße", "a": [1]}) == ('{\n  "b": "Straße",\n  "a": [\n    1\n  ]\n}\n')


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), PLAIN, min_size=1), max_size=4))
def test_sections_give_the_same_text(documents):
    sections = Sections()
    for document in [*documents, *documents]:
        assert sections.to_json(document) == to_json(document)


def test_unchanged_sections_are_encoded_once(monkeypatch):
    encoded, large, sections = [], {"packages": [1, 2]}, Sections()
    monkeypatch.setattr(files, "to_json", lambda value: encoded.append(value) or to_json(value))
    for stage in ("open", "fit"):
        assert sections.to_json({"stage": stage, "large": large}) == to_json({"stage": stage, "large": large})
    assert encoded == ["open", large, "fit"]
