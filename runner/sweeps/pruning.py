"""`sweep.prune`: what a trial comes to is told epoch by epoch, and one that promises too little is given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import inf

from runner.records.columns import Objective
from runner.records.output import brief
from runner.records.run_folder import RunFolder
from runner.sweeps.searchers import Proposer

LOOK_SECONDS = 0.5
"""How often the files of a running trial are looked at."""


class Pruning:
    """Reads metrics.csv, a row per epoch, and lets the proposer judge; `objective_of` says which column of a run."""

    def __init__(self, proposer: Proposer, objective_of: Callable[[RunFolder], Objective]) -> None:
        self.proposer, self.objective_of = proposer, objective_of
        self._looked: dict[int, float] = {}
        self._judged: dict[int, int] = {}

    def report(self, number: int, run: RunFolder) -> None:
        """Tell all epochs of a trial."""
        for epoch, value in self._values(run):
            self.proposer.report(number, epoch, value)

    def reason(self, number: int, run: RunFolder) -> str | None:
        """Why a trial that runs is given up, by the epochs that ended since it was asked for last; None where it isn't.

        Each epoch is judged by itself, in order, so that it does not matter how late it is seen. A trial that has
        trained its last epoch is let go on: all that pruning saves is spent.
        """
        if time.monotonic() - self._looked.get(number, -inf) < LOOK_SECONDS:
            return None
        self._looked[number] = time.monotonic()
        values = dict(self._values(run))
        for epoch, value in values.items():
            if epoch > self._judged.get(number, 0):
                self._judged[number] = epoch
                self.proposer.report(number, epoch, value)
                if epoch < run.value("train.epochs") and self.proposer.gives_up(number):
                    return self._told(epoch, values, self.objective_of(run))
        return None

    def _values(self, run: RunFolder) -> Iterator[tuple[int, float]]:
        """The objective by epoch; none before an epoch was validated, for until then it is not known which column."""
        if len(run.metrics) < (run.value("train.validation_every") or 1):
            return
        key = self.objective_of(run).key
        for row in run.metrics:
            if (value := row.get(key)) is not None:
                yield int(row["epoch"] or 0), value

    def _told(self, epoch: int, values: dict[int, float], objective: Objective) -> str:
        best = (max if objective.goal == "max" else min)(value for at, value in values.items() if at <= epoch)
        return (
            f"given up after epoch {epoch}: its best {objective.key}, {brief(float(best))}, "
            "was worse than the median of earlier trials"
        )
