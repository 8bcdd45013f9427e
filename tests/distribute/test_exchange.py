"""What the ranks of a group find reaches rank 0 in files, or the error of one that ends first."""

from contextlib import nullcontext
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from runner.distribute.exchange import WITHOUT_OTHERS, Exchange, note_error, rank_folders
from runner.distribute.rank_files import START, error_of
from runner.distribute.ranks import Rank
from runner.errors import RunnerError
from runner.modes.fit import _pixels
from runner.modes.initial_weights import model_to_build


@pytest.fixture
def exchanges(tmp_path):
    """Those of three ranks of the run in `tmp_path`."""
    (tmp_path / "ranks").mkdir()
    return [Exchange(Rank(number, 3), tmp_path) for number in range(3)]


def test_rank_0_gets_the_values_of_all_in_order(exchanges, tmp_path):
    for values in ([1, 2], ["a"]):
        for number in (2, 1):
            assert list(exchanges[number].gather((number, value) for value in values)) == []
    for values in ([1, 2], ["a"]):
        gathered = exchanges[0].gather((0, value) for value in values)
        assert list(gathered) == [(number, value) for number in range(3) for value in values]
    assert not list((tmp_path / "ranks").iterdir())


def test_arrays_keep_their_bits(exchanges):
    rows = np.float32([[0.1, np.nextafter(1, 2)]])
    for number in (1, 2):
        exchanges[number].gather([rows])
    assert all(np.array_equal(got, rows) and got.dtype == rows.dtype for got in exchanges[0].gather([rows]))


def test_process_alone_keeps_its_values():
    assert list(WITHOUT_OTHERS.gather(iter("ab"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("error: a.png: torn\n", "^rank 1: a.png: torn$"),
        ("Traceback (most recent call last):\n  File ...\nKeyError: 3\n", "^rank 1: KeyError: 3$"),
    ],
)
def test_rank_0_waits_for_no_rank_that_failed(exchanges, tmp_path, log, message):
    (tmp_path / "ranks" / "1.log").write_text(f"error: of an earlier attempt\n{START}{log}")
    note_error(tmp_path, 1)
    with pytest.raises(RunnerError, match=message):
        list(exchanges[0].gather([0]))


def test_log_without_an_error_has_none(tmp_path):
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks" / "1.log").write_text(f"{START}fit\n")
    assert error_of(tmp_path, 1) == []


def test_each_rank_has_a_folder_of_its_own(exchanges, tmp_path):
    assert exchanges[0].own_folder == tmp_path
    assert exchanges[1].other_folders == [tmp_path, tmp_path / "ranks" / "2"]
    for exchange in exchanges[1:]:
        exchange.own_folder.mkdir()
    (tmp_path / "ranks" / "1.log").touch()
    assert rank_folders(tmp_path) == [tmp_path / "ranks" / "1", tmp_path / "ranks" / "2"]


def test_rank_0_alone_makes_a_value_for_all(exchanges, tmp_path):
    made = []
    values = [exchange.once(lambda: made.append(1) or np.float32([0.1])) for exchange in exchanges]
    assert made == [1] and all(np.array_equal(value, np.float32([0.1])) for value in values)
    for exchange in (*exchanges[1:], exchanges[0]):
        list(exchange.gather([]))
    assert not list((tmp_path / "ranks").iterdir())
    assert WITHOUT_OTHERS.once(lambda: 3) == 3


def test_ranks_do_a_block_in_turn(exchanges, tmp_path):
    done = []

    def do(exchange):
        with exchange.in_turn():
            done.append(exchange.rank.number)
        list(exchange.gather([]))

    threads = [Thread(target=do, args=(exchange,)) for exchange in reversed(exchanges)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [0, 1, 2] and not list((tmp_path / "ranks").iterdir())


def test_pixels_of_masks_are_counted_by_rank_0(exchanges):
    exchanges[0].once(lambda: np.array([5, 6]))
    head = SimpleNamespace(mode="mask")
    dataset = SimpleNamespace(splits={"train": SimpleNamespace(labels=SimpleNamespace(heads=[head]))})
    config = SimpleNamespace(train=SimpleNamespace(each=lambda: [SimpleNamespace(class_weight="balanced")]))
    terminal = SimpleNamespace(waiting=lambda text: nullcontext())
    run = SimpleNamespace(config=config, terminal=terminal, exchange=exchanges[1])
    assert _pixels(run, None, dataset, None).tolist() == [5, 6]  # without a loader, which it could not open


def test_ranks_fetch_weights_in_turn(exchanges):
    fetched = []

    def fetching(exchange):
        model = SimpleNamespace(fetches_weights=True, initial_weights=lambda task: fetched.append(exchange.rank.number))
        model_to_build(
            SimpleNamespace(config=SimpleNamespace(model=model), exchange=exchange), None, None, has_state=False
        )

    second = Thread(target=fetching, args=(exchanges[1],))
    second.start()
    fetching(exchanges[0])
    second.join()
    assert fetched == [0, 1]
