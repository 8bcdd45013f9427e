"""While a model trains, a thread writes a row of system.csv every second: where training is, and what the run uses."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from runner.records.gpu_usage import MISSING, GpuUsage, is_readable
from runner.records.machine_usage import MachineUsage
from runner.records.system_table import Cells, SystemTable

if TYPE_CHECKING:
    from runner.modes.context import RunContext
    from runner.training.setup import Training

log = logging.getLogger("runner.system")

Values = Callable[[], Mapping[str, float]]
"""The loss and the metrics of the epoch so far."""


class Sampler:
    """Samples a training in its own thread from `begin` on, until `close`; it costs the training thread nothing.

    A run that is resumed at a global step continues its table. Of a group of processes, that of rank 0 samples its
    machine. A failure ends the thread and not the run.
    """

    def __init__(self, run: RunContext, training: Training, *, resumed_at: int | None = None) -> None:
        self._run, self._steps_per_epoch, self._clock = run, training.steps_per_epoch, training.train.clock
        self._epochs = training.settings.epochs
        self._loaders = [loader for loader in (training.train, training.validation) if loader is not None]
        self._table = SystemTable(run.record.path)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._resumed_at, self._step = resumed_at, resumed_at or 0
        self._epoch, self._epoch_began = self._step // self._steps_per_epoch + 1, 0.0
        self._values: Values = dict

    def begin(self, values: Values) -> None:
        """Start the thread, which takes the loss from `values`."""
        if not self._run.rank.leads:
            return
        self._values = values
        if self._run.record.document["machine"].get("gpus") and not is_readable():
            log.info(MISSING)  # the page says so as well; on the screen of every run it would be in the way
        if self._resumed_at is not None:
            self._table.resume(self._resumed_at)
        self._began = self._epoch_began = time.monotonic()
        self._thread = threading.Thread(target=self._sample, name="system", daemon=True)
        self._thread.start()

    def on_step(self, step: int) -> None:
        """Note that batch `step` is on its way to the model."""
        self._step = step + 1

    def on_epoch(self, epoch: int) -> None:
        """Note that an epoch, counted from 1, has ended with its validation."""
        if epoch < self._epochs:
            self._epoch, self._epoch_began = epoch + 1, time.monotonic()

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _sample(self) -> None:
        try:
            with closing(GpuUsage() if is_readable() else GpuUsage([])) as gpus, closing(self._table):
                usage, due = MachineUsage(self._worker_pids), self._began
                waited, looked, is_last = self._clock.waiting_seconds(), self._began, False
                while not is_last:
                    due = max(due + self._table.interval, time.monotonic())  # a stopped process has missed rows
                    is_last = self._ended.wait(max(0.0, due - time.monotonic()))
                    now, waited_by_now = time.monotonic(), self._clock.waiting_seconds()
                    share = (waited_by_now - waited) / max(now - looked, 1e-9)
                    waited, looked = waited_by_now, now
                    where = {**self._position(now), "wait_share": round(min(1.0, max(0.0, share)), 4)}
                    self._table.append({**where, **usage.sample(), **gpus.sample()})
        except Exception as error:
            log.warning("system.csv ends here: %s: %s", type(error).__name__, error)

    def _position(self, now: float) -> Cells:
        loss = self._values().get("loss")
        return {
            "seconds": round(self._table.seconds + now - self._began, 2),
            "epoch": self._epoch,
            "epoch_seconds": round(max(0.0, now - self._epoch_began), 2),
            "step": self._step,
            "loss": None if loss is None else float(f"{loss:.6g}"),
        }

    def _worker_pids(self) -> Iterator[int]:
        """The worker processes of all loaders."""
        for loader in self._loaders:
            for process in tuple(loader.clock.processes):
                with suppress(ValueError):  # closed
                    if process.pid is not None and process.exitcode is None:
                        yield process.pid
