"""A callback of the user's within the list of a run: its hooks, its columns and its state."""

import keras
import numpy as np
import pytest

from runner.callbacks.user_callbacks import UserCallback, UserStates
from runner.errors import RunnerError


class Counter(keras.callbacks.Callback):
    """Counts batches, and adds to the logs what `add` holds."""

    def __init__(self, add=None, state=None):
        super().__init__()
        self.add, self.held, self.batches = add or {}, state, 0

    def on_batch_begin(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.add)

    def get_state(self):
        return self.held

    def set_state(self, state):
        self.held = state


def user(callback):
    return UserCallback(callback, f"mine.{type(callback).__name__}")


def test_only_overridden_hooks_are_called():
    wrapped = user(Counter())
    wrapped.on_train_batch_begin(0, {})  # Keras calls the older name from it
    wrapped.on_train_batch_end(0, {})
    assert wrapped.callback.batches == 1
    assert "on_train_batch_end" not in vars(wrapped)


def test_numbers_in_logs_become_columns():
    wrapped, logs = user(Counter({"norm": np.float32(0.5), "rows": 3, "loss": keras.ops.ones(())})), {"loss": 2.0}
    wrapped.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "norm": 0.5, "rows": 3.0}
    assert wrapped.added == {"norm", "rows"}


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (
            {"norm": [1.0]},
            r"mine\.Counter must add only numbers to the logs of an epoch, got norm: an object of type list",
        ),
        ({"norm": "high"}, r"got norm: an object of type str"),
        ({"seconds": 1.0}, r"must add columns of other names than those of the run, got 'seconds'"),
    ],
)
def test_other_things_in_logs_name_the_callback(add, message):
    with pytest.raises(RunnerError, match=message):
        user(Counter(add)).on_epoch_end(0, {"loss": 2.0})


def test_error_of_a_hook_names_callback_and_hook():
    class Broken(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError) as raised:
        user(Broken()).on_train_begin()
    assert raised.value.__notes__ == ["raised by train.callbacks=mine.Broken in on_train_begin"]


def test_state_is_restored_with_its_arrays():
    state = {"best": float("inf"), "names": ["a", None], "means": {"x": np.arange(3, dtype="f4")}, "n": np.int64(2)}
    states = UserStates.take([user(Counter()), user(Counter(state=state))])
    others = [user(Counter()), user(Counter())]
    UserStates(states.values, states.arrays).restore(others)
    found = others[1].callback.held
    assert (found["best"], found["names"], found["n"]) == (float("inf"), ["a", None], 2)
    assert found["means"]["x"].tolist() == [0, 1, 2]
    with pytest.raises(RunnerError, match="must return numbers, texts, arrays, .* got an object of type set"):
        UserStates.take([user(Counter(state={1}))])


def test_callbacks_without_state_are_known():
    class Noting(keras.callbacks.Callback):
        stateless = True

    class Changed(keras.callbacks.LambdaCallback):
        pass

    exact = [Counter(), Noting(), keras.callbacks.TerminateOnNaN(), keras.callbacks.LambdaCallback()]
    assert all(user(callback).resumes_exactly for callback in exact)
    assert not user(keras.callbacks.Callback()).resumes_exactly
    assert not user(Changed()).resumes_exactly
