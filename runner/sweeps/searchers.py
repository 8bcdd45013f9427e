"""The role of what decides which configuration a search tries next.

What a search may choose from: a range of numbers, or listed values, for each key.

`sweep.search=random`: every trial is a draw of its own, by the search's seed and the trial's number alone.

`sweep.search=optuna`: Optuna's TPE proposes what is likely to be better; what it knows lies in search.db.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from runner.seeds import Purpose, derive

Number = int | float


@dataclass(frozen=True)
class Interval:
    """Every number from `low` to `high`, both included: whole ones where both are; `log`: all magnitudes alike."""

    low: Number
    high: Number
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[str, str]:
        """The smallest and the largest value, as typed."""
        return repr(self.low), repr(self.high)


@dataclass(frozen=True)
class Listed:
    """One of these values, as typed; `ordered`: those of a range, where neighbours are alike."""

    values: tuple[str, ...]
    ordered: bool = False

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last value."""
        return self.values[0], self.values[-1]


Space = Mapping[str, Interval | Listed]
"""What each key may be, in the order typed."""

Values = dict[str, str]
"""A value for each key, as a person would type it."""


class Proposer(Protocol):
    """Proposes one trial after the other, and may learn from what they came to."""

    def propose(self, number: int) -> Values:
        """The values of trial `number`: the same ones when asked again."""

    def report(self, number: int, epoch: int, value: float) -> None:
        """What a trial came to by the end of an epoch, counted from 1; what was reported before stays as it is."""

    def gives_up(self, number: int) -> bool:
        """Whether a trial promises too little, by what was reported of it and of others, to be worth its time."""

    def tell(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """A trial came to a value, failed (None) or was `pruned` (None); of what was told before nothing changes."""

    def close(self) -> None:
        """Leave nothing open."""


class RandomSearch:
    """Draws uniformly, over magnitudes where a range is logarithmic."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed

    def propose(self, number: int) -> Values:
        """The draw of that number: a pure function of seed and number, so that no state has to be kept."""
        random = np.random.default_rng(derive(self.seed, Purpose.SEARCH, number))
        return {key: _draw(dimension, random) for key, dimension in self.space.items()}

    def report(self, number: int, epoch: int, value: float) -> None:
        """Chance learns nothing."""

    def gives_up(self, number: int) -> bool:
        """Never."""
        return False

    def tell(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """Chance learns nothing."""

    def close(self) -> None:
        """Nothing is open."""


def _draw(dimension: Interval | Listed, random: np.random.Generator) -> str:
    if isinstance(dimension, Listed):
        return dimension.values[int(random.integers(len(dimension.values)))]
    low, high = dimension.low, dimension.high
    if dimension.whole and not dimension.log:
        return repr(int(random.integers(int(low), int(high), endpoint=True)))
    if not dimension.log:
        return repr(_within(random.uniform(low, high), dimension))
    if not dimension.whole:
        return repr(_within(math.exp(random.uniform(math.log(low), math.log(high))), dimension))
    # Each whole number has the width it is rounded from, so that both ends are as likely as their neighbours.
    drawn = math.exp(random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return repr(int(_within(round(drawn), dimension)))


def _within(value: float, interval: Interval) -> float:
    """Rounding may carry a draw over an end."""
    return min(max(value, interval.low), interval.high)


SEARCH_DB = "search.db"
STUDY = "search"
"""The name of the study within the file, as Optuna's own tools ask for it."""


class OptunaSearch:
    """A study whose trials are numbered as the jobs are.

    The sampler of each trial is seeded by the search's seed and the trial's number, so a search that was interrupted
    goes on as if it had not been. Trials that still run count as bad ones, which keeps jobs that run at once apart.
    """

    def __init__(self, folder: Path, space: Space, seed: int, goal: str) -> None:
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

    def propose(self, number: int) -> Values:
        """What TPE samples, or sampled when it was asked for this trial before."""
        state = derive(self.seed, Purpose.SEARCH, number).generate_state(1)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=int(state[0]), constant_liar=True)
        known = self._study.get_trials(deepcopy=False)
        asked = self._optuna.trial.Trial(self._study, known[number]._trial_id) if number < len(known) else None
        trial = asked or self._study.ask()
        return {key: _suggested(trial, key, dimension) for key, dimension in self.space.items()}

    def report(self, number: int, epoch: int, value: float) -> None:
        """Let the study know; a trial that is finished stays as it is."""
        trial = self._study.get_trials(deepcopy=False)[number]
        if not trial.state.is_finished() and epoch not in trial.intermediate_values:
            self._storage.set_trial_intermediate_value(trial._trial_id, epoch, value)

    def gives_up(self, number: int) -> bool:
        """Whether its best epoch is worse than the median of completed trials by then; never before there are five."""
        return bool(self._study.pruner.prune(self._study, self._study.get_trials(deepcopy=False)[number]))

    def tell(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """Let the study know; a trial that is finished stays as it is."""
        states = self._optuna.trial.TrialState
        state = states.PRUNED if pruned else states.FAIL if value is None else states.COMPLETE
        self._study.tell(number, value, state=state, skip_if_finished=True)

    def close(self) -> None:
        """Close the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()


def _suggested(trial: Any, key: str, dimension: Interval | Listed) -> str:
    if isinstance(dimension, Interval):
        suggest = trial.suggest_int if dimension.whole else trial.suggest_float
        return repr(suggest(key, dimension.low, dimension.high, log=dimension.log))
    if dimension.ordered:
        return dimension.values[int(trial.suggest_int(key, 0, len(dimension.values) - 1))]
    return str(trial.suggest_categorical(key, dimension.values))
