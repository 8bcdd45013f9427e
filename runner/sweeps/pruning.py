"""`sweep.prune`: reports each epoch of a trial to the searcher, and prunes trials with little promise.

Of a trial of several jobs, its mean is reported after each of them in place of the epochs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import inf
from statistics import fmean

from runner.records.columns import Objective
from runner.records.output import brief
from runner.records.run_folder import RunFolder
from runner.sweeps.searchers import Searcher
from runner.sweeps.trials import Trial

READ_SECONDS = 0.5
"""How often to read the files of a running trial."""


class Pruner:
    """Reads metrics.csv, one row per epoch, and lets the searcher decide; `objective_of` finds its column."""

    def __init__(self, searcher: Searcher, objective_of: Callable[[RunFolder], Objective]) -> None:
        self.searcher, self.objective_of = searcher, objective_of
        self._last_read: dict[int, float] = {}
        self._reported: dict[int, int] = {}

    def report(self, number: int, run: RunFolder) -> None:
        """Report all epochs of a trial to the searcher."""
        for epoch, value in self._values(run):
            self.searcher.report(number, epoch, value)

    def reason(self, number: int, run: RunFolder) -> str | None:
        """Why a running trial should be pruned, by the epochs that ended since the last call; None if it should not.

        The searcher decides epoch by epoch, in order, so the result does not depend on when the files were read. A
        trial that has trained its last epoch is never pruned: nothing would be saved.
        """
        if time.monotonic() - self._last_read.get(number, -inf) < READ_SECONDS:
            return None
        self._last_read[number] = time.monotonic()
        values = dict(self._values(run))
        for epoch, value in values.items():
            if epoch > self._reported.get(number, 0):
                self._reported[number] = epoch
                self.searcher.report(number, epoch, value)
                if epoch < run.value("train.epochs") and self.searcher.should_prune(number):
                    return self._text(epoch, values, self.objective_of(run))
        return None

    def _values(self, run: RunFolder) -> Iterator[tuple[int, float]]:
        """Epochs and their objective; nothing before the first validation, as its column is not known until then."""
        if len(run.metrics) < (run.value("train.validation_every") or 1):
            return
        key = self.objective_of(run).key
        for row in run.metrics:
            if (value := row.get(key)) is not None:
                yield int(row["epoch"] or 0), value

    def _text(self, epoch: int, values: dict[int, float], objective: Objective) -> str:
        best = (max if objective.goal == "max" else min)(value for at, value in values.items() if at <= epoch)
        return (
            f"pruned after epoch {epoch}: its best {objective.key}, {brief(float(best))}, "
            "is worse than the median of earlier trials"
        )


class MeanPruner:
    """Reports the mean over the first jobs of a trial, and lets the searcher decide before the next one."""

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher

    def reason(self, trial: Trial, objective: Objective) -> str | None:
        """Why the rest of a trial should not run; None if it should, or if all of it has run.

        Only jobs before the first that has not completed count, so the result does not depend on how many run at once.
        """
        values, total = trial.values(objective), len(trial.jobs)
        for count in range(1, len(values) + 1):
            self.searcher.report(trial.number, count, fmean(values[:count]))
        if not 0 < len(values) < total or not self.searcher.should_prune(trial.number, latest=True):
            return None
        return (
            f"pruned after {len(values)} of {total} jobs of the trial: their mean {objective.key}, "
            f"{brief(fmean(values))}, is worse than the median of earlier trials"
        )
