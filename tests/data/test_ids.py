import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.data import ids as module
from runner.data.ids import Ids, names_at, select_ids

texts = st.lists(st.text(st.characters(), max_size=5), max_size=30)


@given(texts)
def test_ids_are_the_texts_given(names):
    ids = Ids(iter(names))
    assert list(ids) == names
    assert ids == names
    assert [ids[index] for index in range(-len(names), len(names))] == names + names
    assert list(pickle.loads(pickle.dumps(ids))) == names


@given(texts.filter(len), st.data())
def test_ids_are_selected_in_any_order(names, data):
    indices = np.array(data.draw(st.lists(st.integers(0, len(names) - 1), max_size=40)), np.int64)
    expected = [names[index] for index in indices]
    assert names_at(Ids(names), indices) == names_at(names, indices) == expected
    selected = select_ids(Ids(names), indices)
    assert selected == expected
    assert list(selected) == list(select_ids(names, indices)) == expected
    assert Ids(names)[1:4] == names[1:4]


@given(st.lists(st.sampled_from("abcdefgh")))
def test_each_repeated_id_is_reported_once(names):
    assert Ids(names).repeated() == [name for name in dict.fromkeys(names) if names.count(name) > 1]


def test_colliding_hashes_are_not_repeats(monkeypatch):
    monkeypatch.setattr(module, "hash", lambda name: 7, raising=False)
    assert Ids(["a", "b", "c", "b"]).repeated() == ["b"]


def test_names_of_files_that_are_no_utf8_are_kept():
    names = ["plain.png", "caf\udce9.png", "日本.png", "🐈.png"]
    assert list(pickle.loads(pickle.dumps(Ids(names)))) == names


def test_ids_take_little_memory():
    names = [f"class_{number % 10}/image_{number:09d}.jpg" for number in range(100_000)]
    assert len(pickle.dumps(Ids(names))) < 100_000 * (len(names[0]) + 17)


def test_ids_beyond_the_last_are_no_ids():
    with pytest.raises(IndexError):
        Ids(["a"])[1]
    assert repr(Ids("abcd")) == "<4 ids: 'a', 'b', 'c', …>"
    assert Ids() == []
    assert Ids("a") != "a"
