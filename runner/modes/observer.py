"""What a run does when training begins, takes a step or ends an epoch: it writes, shows, samples and tracks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.modes.context import RunContext
from runner.modes.phases import report_phase
from runner.modes.sampler import Sampler, Values
from runner.modes.terminal import TrainingView
from runner.records.metrics import MetricsTable
from runner.training.phases import Phases
from runner.training.setup import TrainingObserver


class RunObserver(TrainingObserver):
    """Updates metrics.csv, run.json, system.csv, the terminal and the tracker of one run.

    A run that is resumed has a function `begin`, called before the first step: from there on it changes its folder.
    """

    def __init__(
        self,
        run: RunContext,
        metrics: MetricsTable,
        view: TrainingView,
        sampler: Sampler,
        begin: Callable[[], None] | None = None,
    ) -> None:
        self._run, self._metrics, self._view, self._sampler, self._begin = run, metrics, view, sampler, begin

    def on_begin(self, values: Values) -> None:
        """Begin to write: the terminal and system.csv take the loss from `values`."""
        if self._begin is not None:
            self._begin()
        self._view.begin(values)
        self._sampler.begin(values)

    def on_phase(self, phases: Phases) -> None:
        """Show and record the phase."""
        report_phase(self._run, phases)

    def on_step(self, step: int) -> None:
        """Show progress."""
        self._sampler.on_step(step)
        self._view.on_step(step)

    def on_epoch(self, epoch: int, row: Mapping[str, float | None]) -> None:
        """Write the row, show it, and hand it to the tracker."""
        self._metrics.append(epoch, row)
        self._sampler.on_epoch(epoch)
        self._view.on_epoch(epoch, row)
        self._run.tracking.epoch(epoch, row)

    def on_weights(self, digests: list[str | None]) -> None:
        """Record the digests."""
        self._run.record.update(digests={"weights_per_epoch": digests})

    def on_goals(self, goals: Mapping[str, str]) -> None:
        """Record which way each metric is better."""
        self._run.record.update(goals=goals)
