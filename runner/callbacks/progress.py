"""How far a training has come, and the states from which it can go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from runner.callbacks.callback_list import RunCallbacks
from runner.callbacks.training_state import build_variables, put_back, take
from runner.exit import Interruption
from runner.feeds.delivery import RecordedDelivery
from runner.records.digests import IdStream
from runner.records.state import State, StateWriter

IsDue = Callable[[int, float], bool]
"""Whether a state is due after so many steps, so many seconds after the last one."""


MOST_UNSETTLED = 250
"""Steps whose ids are remembered; on JAX, a few in flight are waited for when they are forgotten."""

NOTHING_SEEN: Mapping[str, Any] = {"samples_seen": 0, "ids": None, "pixels": None, "weights": [], "stopped": False}
"""The counts before the first step."""


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts the steps that are done, writes states between two of them, and ends the run there if it is asked to.

    With `start`, begins with the counts of that state, and puts it back once `fit` has reset what it resets.
    """

    def __init__(
        self,
        delivery: RecordedDelivery,
        writer: StateWriter,
        is_due: IsDue,
        interruption: Interruption,
        start: State | None,
    ) -> None:
        super().__init__()
        self._delivery, self._writer, self._is_due, self._interruption = delivery, writer, is_due, interruption
        counts: Mapping[str, Any] = start.document["counts"] if start else NOTHING_SEEN
        self._start, self._ids = start, IdStream(counts["ids"])
        # A state of an earlier version has neither of these: what was not noted from the start is not known.
        self._pixels, self._knows_pixels = IdStream(counts.get("pixels")), "pixels" in counts
        self.weights: list[str | None] = counts.get("weights", [])
        self.step = self._first_step = start.step if start else 0
        self.samples_seen: int = counts["samples_seen"]
        self.stopped: bool = counts["stopped"]
        self._saved_at = time.monotonic()
        self._saved_step = self.step

    @property
    def ids(self) -> str:
        """The digest of the ids that were trained on."""
        return self._ids.hexdigest()

    @property
    def pixels(self) -> str | None:
        """The digest of what some of the batches held; None where a part of the run did not take it."""
        return self._pixels.hexdigest() if self._knows_pixels else None

    def begin(self, callbacks: RunCallbacks) -> None:
        """Get ready to train under `callbacks`, of which this is one."""
        self._callbacks = callbacks
        if self._start is not None:
            build_variables(self.model, self._delivery.loader.batch(0, 0))

    def on_train_begin(self, logs: Any = None) -> None:
        """The other callbacks have just begun anew."""
        self._put_back()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """`fit` has just reset the metrics."""
        self._first_step = self.step
        self._put_back()
        self._start = None

    def _put_back(self) -> None:
        start = self._start
        if start is not None:
            put_back(self.model, self._callbacks.callbacks, start.arrays, start.document["callbacks"])

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Between two steps; Keras calls this in the training thread on every backend."""
        step = self._first_step + batch
        must_save = self._interruption.asked or self._is_due(step, time.monotonic() - self._saved_at)
        if must_save or step - self.step >= MOST_UNSETTLED:
            self._callbacks.flush()
            self.advance(step)
        if must_save:
            self.save()
            self._interruption.obey()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Within a validation there is no state to write: the run goes on from the one before it."""
        self._interruption.obey()

    def advance(self, step: int) -> None:
        """Note that all steps before `step` are done."""
        self.samples_seen += self._delivery.settle(self._ids, self._pixels, self.step, step - self.step)
        self.step = step

    def note_weights(self, epoch: int, digest: str) -> None:
        """Note the digest of the weights at the end of `epoch`, counted from 0."""
        self.weights = [*self.weights, *[None] * (epoch - len(self.weights)), digest]

    def end_epoch(self, *, save: bool) -> None:
        """Write a state if one is due, `save` or not; end the run if it is asked to."""
        if save or self._interruption.asked or self._is_due(self.step, time.monotonic() - self._saved_at):
            self.model.reset_metrics()  # as the next epoch begins
            self.save()
        self._interruption.obey()

    def save(self) -> None:
        """Write the state of this moment, unless it is written."""
        if self.step == self._saved_step:
            return
        arrays, callbacks = take(self.model, self._callbacks.callbacks)
        counts = {"samples_seen": self.samples_seen, "ids": self.ids, "weights": self.weights, "stopped": self.stopped}
        if self._knows_pixels:
            counts["pixels"] = self.pixels
        self._writer.write(State(self.step, arrays, {"counts": counts, "callbacks": callbacks}))
        self._saved_at, self._saved_step = time.monotonic(), self.step
