"""Searchers propose the configurations that a search tries, from the range of each key.

`sweep.search=random` draws every trial independently. `sweep.search=optuna` lets Optuna's TPE learn from earlier
trials and keeps its study in search.db.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from runner.seeds import Purpose, derive

Number = int | float


@dataclass(frozen=True)
class Interval:
    """All numbers from `low` to `high`, both included; only whole ones if both ends are. `log`: a logarithmic scale."""

    low: Number
    high: Number
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether the interval holds only whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[str, str]:
        """The smallest and the largest value, as override text."""
        return repr(self.low), repr(self.high)


@dataclass(frozen=True)
class Choices:
    """Listed values, as override text; `ordered`: values of a range, where neighbours are similar."""

    values: tuple[str, ...]
    ordered: bool = False

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last value."""
        return self.values[0], self.values[-1]


SearchSpace = Mapping[str, Interval | Choices]
"""The range of each key, in the order of the command line."""

TrialValues = dict[str, str]
"""A value for each key, as override text."""


class Searcher(Protocol):
    """Proposes one trial after the other, and may learn from their results."""

    def propose(self, number: int) -> TrialValues:
        """The values of trial `number`; the same ones in every call."""

    def report(self, number: int, epoch: int, value: float) -> None:
        """Take the objective of a trial after `epoch`, counted from 1; a second report of an epoch changes nothing."""

    def should_prune(self, number: int, *, latest: bool = False) -> bool:
        """Whether to stop a trial, given what was reported of it and of the others; of it the best, or the latest."""

    def finish(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """Take the final value of a trial; None if it failed or was `pruned`. A second call changes nothing."""

    def close(self) -> None:
        """Close open files."""


class RandomSearch:
    """Draws uniformly; uniformly in the logarithm for a logarithmic interval."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.space, self.seed = space, seed

    def propose(self, number: int) -> TrialValues:
        """The values of trial `number`: a pure function of seed and number, so there is no state to keep."""
        random = np.random.default_rng(derive(self.seed, Purpose.SEARCH, number))
        return {key: _draw(dimension, random) for key, dimension in self.space.items()}

    def report(self, number: int, epoch: int, value: float) -> None:
        """Ignore the value."""

    def should_prune(self, number: int, *, latest: bool = False) -> bool:
        """False: random search never prunes."""
        return False

    def finish(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """Ignore the value."""

    def close(self) -> None:
        """Do nothing."""


def _draw(dimension: Interval | Choices, random: np.random.Generator) -> str:
    if isinstance(dimension, Choices):
        return dimension.values[int(random.integers(len(dimension.values)))]
    low, high = dimension.low, dimension.high
    if dimension.whole and not dimension.log:
        return repr(int(random.integers(int(low), int(high), endpoint=True)))
    if not dimension.log:
        return repr(_clipped(random.uniform(low, high), dimension))
    if not dimension.whole:
        return repr(_clipped(math.exp(random.uniform(math.log(low), math.log(high))), dimension))
    # Widen the interval by half a step, so that both ends are as likely as their neighbours after rounding.
    drawn = math.exp(random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return repr(int(_clipped(round(drawn), dimension)))


def _clipped(value: float, interval: Interval) -> float:
    """The value within the interval: rounding may carry it over an end."""
    return min(max(value, interval.low), interval.high)


SEARCH_DB = "search.db"
STUDY = "search"
"""The name of the study in the file, for Optuna's own tools."""


class OptunaSearch:
    """An Optuna study whose trials have the numbers of the jobs.

    The sampler of each trial is seeded with the seed of the search and the number of the trial, so a search that was
    interrupted continues with the same proposals. Running trials count as bad ones (constant liar), which keeps
    concurrent trials apart.
    """

    def __init__(self, folder: Path, space: SearchSpace, seed: int, goal: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self.space, self.seed = optuna, space, seed
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{folder / SEARCH_DB}")
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=STUDY,
            direction="maximize" if goal == "max" else "minimize",
            pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )

    def propose(self, number: int) -> TrialValues:
        """The values that TPE samples, or sampled in an earlier call for this trial."""
        state = derive(self.seed, Purpose.SEARCH, number).generate_state(1)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=int(state[0]), constant_liar=True)
        known = self._study.get_trials(deepcopy=False)
        earlier = self._optuna.trial.Trial(self._study, known[number]._trial_id) if number < len(known) else None
        trial = earlier or self._study.ask()
        return {key: _suggest(trial, key, dimension) for key, dimension in self.space.items()}

    def report(self, number: int, epoch: int, value: float) -> None:
        """Add the value to the study, unless the trial is finished or has a value for this epoch."""
        trial = self._study.get_trials(deepcopy=False)[number]
        if not trial.state.is_finished() and epoch not in trial.intermediate_values:
            self._storage.set_trial_intermediate_value(trial._trial_id, epoch, value)

    def should_prune(self, number: int, *, latest: bool = False) -> bool:
        """Whether its best epoch is worse than the median of completed trials at that epoch; needs five of them."""
        trial = self._study.get_trials(deepcopy=False)[number]
        if latest and (last := trial.last_step) is not None:
            trial = copy(trial)
            trial.intermediate_values = {last: trial.intermediate_values[last]}
        return bool(self._study.pruner.prune(self._study, trial))

    def finish(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """Finish the trial in the study, unless it is finished."""
        states = self._optuna.trial.TrialState
        state = states.PRUNED if pruned else states.FAIL if value is None else states.COMPLETE
        self._study.tell(number, value, state=state, skip_if_finished=True)

    def close(self) -> None:
        """Close the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()


def _suggest(trial: Any, key: str, dimension: Interval | Choices) -> str:
    if isinstance(dimension, Interval):
        suggest = trial.suggest_int if dimension.whole else trial.suggest_float
        return repr(suggest(key, dimension.low, dimension.high, log=dimension.log))
    if dimension.ordered:
        return dimension.values[int(trial.suggest_int(key, 0, len(dimension.values) - 1))]
    return str(trial.suggest_categorical(key, dimension.values))
