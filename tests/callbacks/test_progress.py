"""Digests in a state, and in states of an earlier version."""

from runner.callbacks.progress import NOTHING_SEEN, Progress
from runner.records.state import State


def begun(counts):
    return Progress(None, None, None, None, State(40, {}, {"counts": counts, "callbacks": {}}))


def test_digests_go_on_from_the_state():
    progress = begun({**NOTHING_SEEN, "pixels": "ab" * 32, "weights": ["w1", "w2"]})
    progress.note_weights(2, "w3")
    assert (progress.pixels, progress.weights) == ("ab" * 32, ["w1", "w2", "w3"])


def test_earlier_state_lacks_unknown_digests():
    progress = begun({"samples_seen": 80, "ids": "ab" * 32, "stopped": False})
    progress.note_weights(2, "w3")
    assert (progress.pixels, progress.weights) == (None, [None, None, "w3"])


def test_progress_changes_no_counts_but_its_own():
    progress = begun(NOTHING_SEEN)
    progress.note_weights(0, "w1")
    assert NOTHING_SEEN["weights"] == []
    assert begun(NOTHING_SEEN).weights == []
