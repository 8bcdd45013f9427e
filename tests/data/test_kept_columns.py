"""Arrays that stay in their file: their rows, what is taken from them, and what worker processes get."""

import pickle

import numpy as np
import pytest

from runner.data.ids import EncodedIds
from runner.data.kept_columns import KeptArray


@pytest.fixture
def file(tmp_path):
    """A file with the numbers from 0 to 99,999."""
    np.save(tmp_path / "numbers.npy", np.arange(100_000))
    return tmp_path / "numbers.npy"


def test_rows_are_those_of_the_file(file):
    rows = KeptArray.open(file, 10, 30)
    assert rows.tolist() == list(range(10, 30))
    assert (len(rows), rows.item(3), rows[5], rows[-1]) == (20, 13, 15, 29)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1


@pytest.mark.parametrize(
    "taken",
    [
        lambda rows: rows[2:4],
        lambda rows: rows[np.array([3, 1])],
        lambda rows: rows + 1,
        lambda rows: np.concatenate([rows, rows]),
        lambda rows: np.where(rows > 12, rows, 0),
    ],
)
def test_what_is_taken_is_a_plain_array(file, taken):
    found = taken(KeptArray.open(file, 10, 20))
    assert type(found) is np.ndarray
    assert found.tolist() == taken(np.arange(10, 20)).tolist()


def test_workers_get_the_name_of_the_file(file):
    rows = KeptArray.open(file, 10, 50_000)
    stored = pickle.dumps(rows)
    assert len(stored) < 500
    assert pickle.loads(stored).tolist() == rows.tolist()
    ids = EncodedIds(KeptArray.open(file).view(np.uint8), rows, rows + 1)
    assert type(pickle.loads(pickle.dumps(ids.starts))) is KeptArray


@pytest.mark.parametrize("size", [60, 4000])
def test_file_that_is_cut_off_is_refused(file, size):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"."):
        KeptArray.open(file, 0, 100_000)
    np.save(file, np.arange(7))
    with pytest.raises(ValueError, match="has 7 rows of 8"):
        KeptArray.open(file, 0, 8)
