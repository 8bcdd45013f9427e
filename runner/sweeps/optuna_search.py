"""`sweep.search=optuna`: Optuna's TPE proposes what is likely to be better; what it knows lies in search.db."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.seeds import Purpose, derive
from runner.sweeps.space import Interval, Listed, Space, Values

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
