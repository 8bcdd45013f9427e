"""Training with callbacks of the user's: one list for the run, a stop within an epoch, and an exact resume."""

import shutil
import signal

import keras
import pytest

from runner.callbacks.user_callbacks import UserCallback
from runner.errors import ConfigurationError, TrainingError
from runner.records import state
from runner.training.named_callbacks import callbacks_of, refuse_lost_states
from runner.training.settings import Train


class Journal(keras.callbacks.Callback):
    """Notes every call that changes it, and lowers the learning rate as each epoch begins."""

    def __init__(self, stop_at=None, interrupt_after=None):
        super().__init__()
        self.calls, self.steps, self.stop_at, self.interrupt_after = [], 0, stop_at, interrupt_after

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch}")
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append("batch")

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.model.stop_training = self.steps == self.stop_at

    def on_test_begin(self, logs=None):
        self.calls.append("test")
        if self.steps == self.interrupt_after:
            signal.raise_signal(signal.SIGINT)

    def on_epoch_end(self, epoch, logs=None):
        logs["steps"] = self.steps

    def on_train_end(self, logs=None):
        self.calls.append("end")

    def get_state(self):
        return {"calls": self.calls, "steps": self.steps}

    def set_state(self, state):
        self.calls, self.steps = list(state["calls"]), state["steps"]


EPOCH = ["batch", "batch", "batch", "test"]


@pytest.fixture(scope="module")
def everything():
    """All states are kept."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(state, "KEPT", 99)
        yield


def with_journal(train, **keys):
    journal = Journal(keys.pop("stop_at", None), keys.pop("interrupt_after", None))
    trained = train(
        validation=True,
        checkpoint_every={"steps": 1},
        user_callbacks=(UserCallback(journal, "mine.Journal"),),
        optimizer={"name": "sgd"},
        **keys,
    )
    return journal, trained


def test_callbacks_live_for_the_whole_run(train):
    journal, trained = with_journal(train)
    assert journal.calls == ["begin", "epoch 0", *EPOCH, "epoch 1", *EPOCH, "epoch 2", *EPOCH, "end"]
    assert trained.column("steps") == [3, 6, 9]
    assert trained.column("learning_rate") == pytest.approx([0.05, 0.025, 0.0125])
    assert "val_steps" not in trained.rows[0]


def test_added_column_may_be_monitored(train):
    _, trained = with_journal(train, monitor="steps", monitor_mode="min", early_stopping={"patience": 0})
    assert trained.column("steps") == [3, 6]
    with_journal(train, monitor="step", monitor_mode="min", ends=TrainingError)


@pytest.mark.usefixtures("everything")
def test_resume_is_exact_with_a_state(train, tmp_path):
    journal, whole = with_journal(train)
    for step in (2, 3):  # within an epoch, and between two
        folder = tmp_path / f"from-{step}"
        folder.mkdir()
        shutil.copy(whole.folder / f"state-{step:012d}.npz", folder)
        again, trained = with_journal(train, start=state.read_state(folder), folder=folder)
        assert (again.calls, again.steps) == (journal.calls, journal.steps)
        assert all((a == b).all() for a, b in zip(trained.weights, whole.weights, strict=True))
        assert trained.column("steps")[-1] == 9


@pytest.mark.parametrize(("stop_at", "batches", "rows"), [(None, 3, 3), (5, 2, 2)])
def test_interrupted_validation_begins_again(train, stop_at, batches, rows):
    _, stopped = with_journal(train, stop_at=stop_at, ends=KeyboardInterrupt, interrupt_after=3 + batches)
    start = state.read_state(stopped.folder)
    assert (start.awaits_validation, start.done_epochs(3)) == (True, 1)
    journal, trained = with_journal(train, stop_at=stop_at, start=start, folder=stopped.folder)
    rest = ["test", *(["epoch 2", *EPOCH] if stop_at is None else []), "end"]
    assert journal.calls == ["begin", "epoch 0", *EPOCH, "epoch 1", *["batch"] * batches, *rest]
    assert len(trained.rows) == rows - 1
    assert trained.rows[0]["steps"] == 3 + batches


def test_stop_within_an_epoch_ends_at_that_step(train):
    journal, trained = with_journal(train, stop_at=5)
    assert trained.result["steps"] == 5
    assert (trained.result["epochs"], trained.result["stopped_early"]) == (2, True)
    assert trained.rows[1]["samples_seen"] == 18
    assert trained.rows[1]["val_loss"] is not None
    assert journal.calls[-3:] == ["batch", "test", "end"]
    newest = state.read_state(trained.folder)
    assert (newest.step, newest.done_epochs(3)) == (5, 2)


@pytest.mark.parametrize(
    ("made", "settings", "message"),
    [
        (keras.callbacks.EarlyStopping(), {}, r"leave out EarlyStopping: give train\.early_stopping\.patience=5"),
        (keras.callbacks.CSVLogger("x.csv"), {}, r"leave out CSVLogger: metrics\.csv of the run holds every epoch"),
        (keras.callbacks.BackupAndRestore("x"), {}, r"leave out BackupAndRestore: the runner writes states"),
        (
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate),
            {"learning_rate": {"name": "cosine_decay", "initial_learning_rate": 0.1}},
            r"learning_rate must be a number with the callback LearningRateScheduler, .* the schedule cosine_decay",
        ),
        (3, {}, r"train\.callbacks=int must make a keras\.callbacks\.Callback, got an object of type int"),
    ],
)
def test_callbacks_that_cannot_work_are_refused(made, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        callbacks_of(Train(**settings), [made])


def test_named_callbacks_are_made():
    made = callbacks_of(Train(callbacks=["TerminateOnNaN", {"name": "ModelCheckpoint", "filepath": "x.keras"}]))
    assert [type(one.callback).__name__ for one in made] == ["TerminateOnNaN", "ModelCheckpoint"]
    with pytest.raises(
        ConfigurationError, match="exact resume is impossible: the callback ModelCheckpoint begins again"
    ):
        refuse_lost_states(made)
    with pytest.raises(ValueError, match="callbacks must leave out early_stopping: give train"):
        Train(callbacks=["early_stopping"])
    with pytest.raises(ValueError, match="callbacks must name a part of Keras, .* did you mean 'TensorBoard'"):
        Train(callbacks=["TensorBord"])
