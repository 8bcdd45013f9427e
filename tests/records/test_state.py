"""States: whole or not at all, the newest whole one is found."""

from dataclasses import replace

import numpy as np
import pytest

from runner.errors import RunnerError
from runner.records.state import State, StateWriter, keep_states, read_state, write_state


def state(step):
    arrays = {"model/0": np.full((2, 3), step, np.float32), "optimizer/0": np.int64(step) + np.zeros((), np.int64)}
    return State(step, arrays, {"counts": {"seen": step}, "best": float("inf"), "none": None})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_state_is_read_as_it_was_written(tmp_path):
    write_state(tmp_path, state(7))
    found = read_state(tmp_path)
    assert found.step == 7
    assert found.document == {"counts": {"seen": 7}, "best": float("inf"), "none": None}
    assert found.arrays["model/0"].tolist() == [[7.0] * 3] * 2
    assert found.arrays["optimizer/0"].dtype == np.int64 and found.arrays["optimizer/0"].shape == ()


def test_bfloat16_keeps_its_type(tmp_path):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    write_state(tmp_path, State(1, {"a": np.array([1.5, 2], bfloat16)}, {}))
    assert read_state(tmp_path).arrays["a"].dtype == bfloat16


def test_two_newest_states_are_kept(tmp_path):
    for step in (5, 10, 999, 1000):
        write_state(tmp_path, state(step))
    assert names(tmp_path) == ["state-000000000999.npz", "state-000000001000.npz"]
    assert read_state(tmp_path).step == 1000


def test_no_state_is_none(tmp_path):
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "absent") is None


@pytest.mark.parametrize("size", [0, 10, 300, -1])
def test_torn_state_falls_back_with_a_note(tmp_path, size, caplog):
    write_state(tmp_path, state(1))
    write_state(tmp_path, state(2))
    newest = tmp_path / "state-000000000002.npz"
    newest.write_bytes(newest.read_bytes()[:size])
    assert read_state(tmp_path).step == 1
    assert f"{newest} is damaged" in caplog.text


def test_every_flipped_byte_of_an_array_is_found(tmp_path):
    write_state(tmp_path, state(1))
    write_state(tmp_path, state(2))
    newest = tmp_path / "state-000000000002.npz"
    whole = newest.read_bytes()
    start = whole.index(np.full((2, 3), 2, np.float32).tobytes())
    for position in range(start, start + 24):
        newest.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert read_state(tmp_path).step == 1


def test_states_after_a_step_are_dropped(tmp_path):
    for step in (5, 10):
        write_state(tmp_path, state(step))
    keep_states(tmp_path, state(5))
    assert names(tmp_path) == ["state-000000000005.npz"]
    keep_states(tmp_path, None)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("step", "steps_per_epoch", "moved"),
    [(10, 5, 10), (10, 8, 16), (10, 2, 4), (13, 5, 13), (13, 10, 26), (13, 2, 5), (14, 1, 2)],
)
def test_state_is_moved_to_epochs_of_other_length(tmp_path, step, steps_per_epoch, moved):
    counts = {"steps_per_epoch": 5, "moved": 1, "samples_seen": 7}
    before = replace(state(step), document={"counts": counts})
    for other in (state(step - 1), before):
        write_state(tmp_path, other)
    start = read_state(tmp_path).moved_to(steps_per_epoch)
    assert start.step == moved
    assert start.document["counts"]["moved"] == moved - step + 1
    keep_states(tmp_path, start)
    if start.is_moved:
        assert names(tmp_path) == [f"state-{moved:012d}.npz"]
    assert read_state(tmp_path).document == start.document
    assert start.moved_to(5).step // 5 == step // 5


def test_state_without_epoch_length_is_not_moved():
    assert state(10).moved_to(3).step == 10


def test_writer_writes_one_after_the_other(tmp_path):
    writer = StateWriter(tmp_path)
    for step in range(1, 6):
        writer.write(state(step))
    writer.close()
    assert read_state(tmp_path).step == 5


def test_failed_state_write_raises_at_the_next(tmp_path):
    writer = StateWriter(tmp_path / "absent")
    writer.write(state(1))
    with pytest.raises(RunnerError, match="cannot write .*absent"):
        writer.close()
