"""Notes on classes that may not be what they seem."""

import numpy as np
import pytest

from runner import compose
from runner.data.class_notes import class_notes
from runner.data.labels import Head, Labels
from runner.modes.open_data import open_dataset
from tests.support.photos import write_photos


def notes(names, codes, mode="sparse", name="", limited=False):
    labels = Labels((Head(name, mode, tuple(names)),), (np.array(codes),))
    return list(class_notes(labels, len(codes), limited=limited))


def test_classes_without_samples_are_named():
    assert notes("abc", [0, 0, 2]) == ["no training samples of 1 of 3 classes: b"]
    assert notes("abc", [[1, 0, 0], [0, 0, 0]], "multi_label") == ["no training samples of 2 of 3 classes: b, c"]
    assert notes("abc", [0, 2], name="kind") == ["no training samples of 1 of 3 classes of kind: b"]
    assert notes("abc", [0, 0]) == [
        "no training samples of 2 of 3 classes: b, c; all are of one class, so the model can learn nothing"
    ]
    assert notes("abc", [0, 0], limited=True) == []


@pytest.mark.parametrize("names", [("Cat", "cat"), ("cat", " cat"), ("1", "1.0"), ("caf\u00e9", "cafe\u0301")])
def test_classes_that_look_alike_are_named(names):
    (note,) = notes([*names, "dog"], [0, 1, 2])
    assert note == f"classes that differ only in spelling are different classes: {names[0]!r} and {names[1]!r}"


def test_classes_that_look_like_several_are_named():
    (note,) = notes(["cat;dog", "bird|dog", "a, b"], [0, 1, 2])
    assert note.startswith("classes look like several each: 'cat;dog', 'bird|dog'; data.class_mode=multi_label")
    assert notes(["cat;dog", "bird"], [[1, 0], [0, 1]], "multi_label") == []


def test_hardly_repeated_numbers_name_regression():
    names = [str(number) for number in range(10)]
    assert notes(names, range(10)) == ["10 classes for 10 training samples; data.class_mode=raw predicts numbers"]
    assert notes([*names[:9], "x"], range(10)) == ["10 classes for 10 training samples"]
    assert notes(names, [*range(10)] * 2) == notes(names[:9], range(9)) == []


def test_opened_data_has_notes_on_its_classes(tmp_path):
    root = write_photos(tmp_path, "abcd", 1)
    divided = ["data.validation_split=0.5", "data.stratify=false"]
    config = compose(["data=directory", f"data.root={root}", "data.target_size=[4,4]", *divided])
    dataset = open_dataset(config)
    empty = sorted(set("abcd") - set(dataset.splits["train"].labels.texts()))
    assert dataset.notes == (f"no training samples of {len(empty)} of 4 classes: {', '.join(empty)}",)
    assert open_dataset(config, dataset.heads).notes == ()
