"""The progress of a training: its steps, samples and digests, and the states it can be resumed from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from runner.callbacks.callback_list import RunCallbacks
from runner.callbacks.terminate_on_nan import refuse_no_numbers
from runner.callbacks.training_state import build_variables, refuse_other_model, restore, take
from runner.callbacks.user_callbacks import UserStates
from runner.exit import Interruption
from runner.feeds.delivery import RecordedDelivery
from runner.models.score_columns import in_columns
from runner.records.digests import IdStream
from runner.records.state import State, StateWriter

IsDue = Callable[[int, float], bool]
"""Whether a state is due, given the number of steps and the seconds since the last state."""

MOST_UNSETTLED = 250
"""The most steps whose ids are kept; on JAX, releasing them waits for steps in flight."""

NOTHING_SEEN: Mapping[str, Any] = {"samples_seen": 0, "ids": None, "pixels": None, "weights": [], "stopped": False}
"""The counts before the first step."""


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts completed steps, writes states between steps, and ends the run there on a signal.

    A state that is written during validation is that of the end of training before it, with the logs of the epoch: only
    the validation is done again.

    With `start`, begins with the counts of that state, and restores the state after `fit` has reset metrics and
    callbacks. With `must_be_finite`, weights that are no numbers end the run in place of being written.
    """

    def __init__(
        self,
        delivery: RecordedDelivery,
        writer: StateWriter,
        is_due: IsDue,
        interruption: Interruption,
        start: State | None,
        *,
        must_be_finite: bool = False,
    ) -> None:
        super().__init__()
        self._delivery, self._writer, self._is_due, self._interruption = delivery, writer, is_due, interruption
        counts: Mapping[str, Any] = start.document["counts"] if start else NOTHING_SEEN
        self._must_be_finite = must_be_finite
        self._start, self._ids = start, IdStream(counts["ids"])
        # A state of an earlier version has neither of these, and they cannot be computed for a part of the run.
        self._pixels, self._knows_pixels = IdStream(counts.get("pixels")), "pixels" in counts
        self.weights: list[str | None] = counts.get("weights", [])
        self.step = self._first_step = start.step if start else 0
        self.samples_seen: int = counts["samples_seen"]
        self._empty_steps: int = counts.get("empty_steps", 0)
        self.moved: int = counts.get("moved", 0)
        """How many steps were never done, because an epoch had another number of steps before a resume."""
        self.stopped: bool = counts["stopped"]
        self.epoch_logs: dict[str, float] | None = counts.get("epoch_logs")
        """The logs of an epoch that is trained and not validated yet; else None."""
        self.phase: Mapping[str, Any] | None = None
        """The place in the phases of the training, as a state names it; None without phases."""
        self._users = UserStates()
        self._saved_at = time.monotonic()
        self._begun = self.step
        self._saved = self._position

    @property
    def ids(self) -> str:
        """The digest of the ids of all trained samples."""
        return self._ids.hexdigest()

    @property
    def pixels(self) -> str | None:
        """The digest of the pixels of some batches; None if it is missing for a part of the run."""
        return self._pixels.hexdigest() if self._knows_pixels else None

    @property
    def _position(self) -> tuple[int, bool]:
        """How far the training is: steps, and whether validation comes next."""
        return self.step, self.epoch_logs is not None

    def begin(self, callbacks: RunCallbacks) -> None:
        """Prepare for training under `callbacks`, which include this one."""
        self._callbacks, self._delivery.empty_steps = callbacks, self._empty_steps
        if self._start is not None:
            build_variables(self.model, self._delivery.loader.first_batch())
            refuse_other_model(self.model, self._start.arrays)

    def on_train_begin(self, logs: Any = None) -> None:
        """Restore the state: the other callbacks have just reset themselves."""
        self._restore()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restore a state from within an epoch: `fit` has just reset the metrics, and callbacks began the epoch again.

        At the beginning of an epoch nothing has changed since `on_train_begin` but what callbacks have just set.
        """
        self._first_step = self._begun = self.step
        self._end = (epoch + 1) * self.params["steps"]
        if self.step % self.params["steps"] or self.epoch_logs is not None:
            self._restore()
        self._start = None

    def _restore(self) -> None:
        start = self._start
        if start is not None:
            restore(self.model, self._callbacks.callbacks, start.arrays, start.document["callbacks"])
            UserStates(start.document.get("users", {}), start.arrays).restore(self._callbacks.callbacks)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Write a state if one is due; Keras calls this between steps, in the training thread on every backend."""
        step = self._delivery.step_of(batch - 1) + 1 if batch else self._first_step
        must_save = self._interruption.requested or self._is_due_since(self._begun, step)
        self._begun = step
        if must_save and not self._delivery.follows(batch):
            return  # Keras begins a batch that does not come: all samples of the rest are skipped. The epoch ends.
        if must_save or step - self.step >= MOST_UNSETTLED:
            self._callbacks.flush()
            self.advance(step)
        if must_save:
            self.save()
            self._interruption.raise_if_requested()

    def _is_due_since(self, before: int, step: int) -> bool:
        """Whether a state is due after `step` steps, or was after a step since `before` that held no sample."""
        seconds = time.monotonic() - self._saved_at
        return any(self._is_due(one, seconds) for one in range(min(before + 1, step), step + 1))

    def on_test_begin(self, logs: Any = None) -> None:
        """Write a state if one is due: the epoch is trained, and its validation begins."""
        if self.epoch_logs is None:
            self._callbacks.flush()
            self.advance(self.trained_to)
            self.stopped = self.stopped or self._callbacks.stopped_after is not None
            logs = _training_logs(self.model, self._callbacks.step_logs)
            self.epoch_logs = {name: float(value) for name, value in in_columns(logs, self._callbacks.heads).items()}
        self._users = UserStates.take(self._callbacks.callbacks)
        if self._is_due(self.step, time.monotonic() - self._saved_at):
            self.save()

    @property
    def trained_to(self) -> int:
        """The step at which the training of this epoch ends: its last one, unless a callback stopped it before."""
        if self.stopped:
            return self.step  # a state from before the validation says so
        batch = self._callbacks.stopped_after
        return self._end if batch is None else self._delivery.step_of(batch) + 1

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """End the run on a signal, with a state from before the validation."""
        if self._interruption.requested:
            self.save()
            self._interruption.raise_if_requested()

    def advance(self, step: int) -> None:
        """Note that all steps before `step` are completed."""
        self.samples_seen += self._delivery.settle(self._ids, self._pixels, self.step, step - self.step)
        self.step = step

    def note_weights(self, epoch: int, digest: str) -> None:
        """Note the digest of the weights at the end of `epoch`, counted from 0."""
        self.weights = [*self.weights, *[None] * (epoch - len(self.weights)), digest]

    def end_epoch(self, *, save: bool) -> None:
        """Write a state if `save` or if one is due; end the run on a signal."""
        self.epoch_logs = None
        # As `fit` does at the start of the next epoch; and always, as all ranks of a group must do it together.
        self.model.reset_metrics()
        if save or self._interruption.requested or self._is_due(self.step, time.monotonic() - self._saved_at):
            self.save()
        self._interruption.raise_if_requested()

    def save(self) -> None:
        """Write the current state, unless it is already written."""
        if self._position == self._saved:
            return
        arrays, callbacks = take(self.model, self._callbacks.callbacks)
        # A validation is done again as a whole, so its state is that from before it.
        users = UserStates.take(self._callbacks.callbacks) if self.epoch_logs is None else self._users
        if self._must_be_finite:
            refuse_no_numbers(self.model, f"between step {self._saved[0]:,} and step {self.step:,}")
        counts = {
            "samples_seen": self.samples_seen,
            "empty_steps": self._delivery.empty_steps,
            "steps_per_epoch": self.params["steps"],
            "moved": self.moved,
            "ids": self.ids,
            "weights": self.weights,
            "stopped": self.stopped,
        }
        if self._knows_pixels:
            counts["pixels"] = self.pixels
        if self.phase is not None:
            counts["phase"] = self.phase
        if self.epoch_logs is not None:
            counts["epoch_logs"] = self.epoch_logs
        document = {"counts": counts, "callbacks": callbacks, **({"users": users.values} if users.values else {})}
        self._writer.write(State(self.step, {**arrays, **users.arrays}, document))
        self._saved_at, self._saved = time.monotonic(), self._position


def _training_logs(model: keras.Model, step_logs: Any) -> Mapping[str, Any]:
    """The logs of an epoch of training as `fit` computes them before validation."""
    logs: Mapping[str, Any] = model.get_metrics_result()
    if isinstance(step_logs, dict) and step_logs.keys() == logs.keys():
        return logs
    return step_logs or {}  # of a training step of the user's own
