"""What a command was asked: runs by name or by condition, in which order, and what is to be told of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.errors import ConfigurationError
from runner.messages import hint
from runner.records.dotted import flat
from runner.records.output import Format, plain
from runner.records.run_folder import Run, all_runs, find_run, is_number
from runner.runs.conditions import Condition


@dataclass(frozen=True)
class Query:
    """Runs by name and conditions, and the command's options by their own names; `HELP` says what they mean."""

    names: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    root: Path = Path("outputs")
    format: Format = "table"
    columns: Sequence[str] | None = None
    sort: str | None = None
    limit: int | None = None
    metric: str | None = None
    goal: Literal["max", "min"] | None = None
    yes: bool = False

    def named(self) -> list[Run]:
        """The runs that were named."""
        return [find_run(self.root, name) for name in self.names]

    def runs(self) -> list[Run]:
        """The runs meant, sorted and cut as asked.

        Raises `ConfigurationError` where none of those there are has a key that is asked for.
        """
        every = self.named() or all_runs(self.root)
        self._refuse_unknown_keys(every)
        runs = [run for run in every if all(condition.holds(run) for condition in self.conditions)]
        limit = len(runs) if self.limit is None else self.limit
        return runs[max(0, len(runs) - limit) :] if self.sort is None else _sorted(runs, self.sort)[:limit]

    def _refuse_unknown_keys(self, runs: Sequence[Run]) -> None:
        """A key that no run has is misspelt, most likely."""
        wanted = [condition.key for condition in self.conditions]
        wanted += [key.removeprefix("-") for key in (self.sort, self.metric) if key is not None]
        wanted += self.columns or ()
        missing = [key for key in dict.fromkeys(wanted) if all(run.value(key) is None for run in runs)]
        known = {key for run in runs[-50:] for key in _keys(run)} if missing else set()
        unknown = [key for key in missing if key not in known]
        if unknown and runs:
            raise ConfigurationError([f"no run has a key {key}{hint(key, known)}" for key in unknown])


def _sorted(runs: list[Run], key: str) -> list[Run]:
    """Numbers, then text, then runs that have nothing there."""
    name, descending = key.removeprefix("-"), key.startswith("-")
    having = [(value, run) for run in runs if (value := run.value(name)) is not None]
    having.sort(key=lambda pair: (not is_number(pair[0]), pair[0] if is_number(pair[0]) else 0, plain(pair[0])))
    ordered = [run for _, run in (reversed(having) if descending else having)]
    return ordered + [run for run in runs if run.value(name) is None]


def _keys(run: Run) -> Iterable[str]:
    """Every key of a run, groups and sections too."""
    yield "run"
    for document in (run.config, run.document, run.document.get("results") or {}):
        for key, _ in flat(document):
            parts = key.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    yield from run.metrics[0] if run.metrics else ()
