"""What the ranks of a group find reaches rank 0 in files, or the error of one that ends first."""

from contextlib import nullcontext
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from runner.distribute.exchange import WITHOUT_OTHERS, Exchange, rank_folders
from runner.distribute.rank_files import START, RankError, error_of, note_error
from runner.distribute.ranks import Rank
from runner.errors import BadSampleError, ConfigurationError, LostRankError, kind_of_error
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
    ("error", "kind", "message"),
    [
        (BadSampleError("a.png", "torn"), "BadSampleError", "a.png: torn"),
        (ConfigurationError(["a must be b", "c must be d"]), "ConfigurationError", "a must be b; c must be d"),
        (RuntimeError("INTERNAL: no memory\n  at 0x1"), "RuntimeError", "RuntimeError: INTERNAL: no memory"),
    ],
)
def test_rank_0_waits_for_no_rank_that_failed(exchanges, tmp_path, error, kind, message):
    note_error(tmp_path, 1, error)
    with pytest.raises(LostRankError, match=f"^rank 1: {message}$") as lost:
        list(exchanges[0].gather([0]))
    assert kind_of_error(lost.value) == kind


TRACE = "Traceback (most recent call last):\n  File ...\nKeyError: 3\n\n    @ 0x7f58 absl::LogMessage()\n"


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (f"fit\n{TRACE}", ("error: KeyError: 3",)),
        ("error: 2 problems\n  a\n  b\n*** Check failure", ("error: 2 problems", "  a", "  b")),
        ("fit\n", None),
    ],
)
def test_log_has_the_error_of_a_rank_that_died(tmp_path, log, lines):
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks" / "1.log").write_text(f"error: of an earlier attempt\n{START}{log}")
    assert (error := error_of(tmp_path, 1)) == (lines and RankError(lines)), error


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
