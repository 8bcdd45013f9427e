"""`python -m runner.runs`: the runs there are, listed, shown, compared, told apart, the best one, and cleaned up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.commands import guarded
from runner.config.nearest import hint
from runner.config.words import Words, read_words
from runner.errors import ConfigurationError, RunnerError
from runner.loaders.memory import format_bytes
from runner.records.json_text import to_json
from runner.store.cleaning import is_fruitless, remove, size_bytes
from runner.store.conditions import Condition
from runner.store.differences import differences, flat
from runner.store.finding import all_runs, find_run
from runner.store.output import FORMATS, Format, brief, plain, write_rows
from runner.store.run import Run, goal_of

HELP = """\
usage: python -m runner.runs COMMAND [RUN ...] [CONDITION ...] [option=value ...]

The runs below outputs/, sweeps' jobs too, asked as a store. Nothing but the files of the runs is read.

commands
  list                  the runs, a line each, the newest last
  show RUN              what one run was, and what came of it
  compare [RUN ...]     runs side by side: the keys in which they differ, and their results
  diff RUN RUN          all that tells two runs apart: configuration, code, packages, data, digests, results
  best metric=KEY       the folder of the best run, for scripts
  clean                 name the runs that failed, were killed or left no record; with yes=true remove them

run
  a folder, latest, or any part of a run's name that no other run has: 7550ad, 2026-11-21_06-20-11_7550ad/3

conditions (for list, compare, best and clean; quote < and >, which are the shell's)
  KEY=VALUE  KEY!=VALUE  'KEY>VALUE'  'KEY>=VALUE'  'KEY<VALUE'  'KEY<=VALUE'
  A key is one of the configuration (loader, train.epochs), of run.json (status, results.evaluate.accuracy, or
  evaluate.accuracy for short), or a column of metrics.csv (val_loss: its best epoch). Values are written as on the
  runner's own command line; seed=0,1 means either.

options
  format=table          table, csv or json
  columns=[KEY,...]     what list shows
  sort=KEY              the order of list and compare, ascending; sort=-KEY descending
  limit=N               the newest N; with sort, the first N
  metric=KEY goal=max   what best goes by; goal=min or max is known for losses, errors and accuracies
  root=outputs          where the runs lie
  yes=true              let clean remove what it names

examples
  python -m runner.runs list loader=sequence,generator 'evaluate.accuracy>0.97'
  python -m runner.runs compare train.epochs=15 sort=-evaluate.accuracy format=csv
  python -m runner mode=predict from_run=$(python -m runner.runs best metric=val_loss)

exit codes: 0 done; 1 no run is like that; 2 something typed cannot be meant
"""

RESULTS = 4
"""How many results list shows by itself."""

SPEED = ("images_per_second", "wait_share")
"""How fast runs trained, by their last epochs: what comparisons of loaders are about."""


def main() -> int:
    """Do what the command line says; the exit code."""
    return guarded(lambda: execute(sys.argv[1:]), what="what was typed")


def execute(texts: Sequence[str]) -> int:
    """Do what these words say; 0. Raises `ConfigurationError` for words that cannot be meant."""
    if not texts or texts[0] in ("help", "-h", "--help"):
        sys.stdout.write(HELP)
        return 0
    name, *rest = texts
    if name not in COMMANDS:
        raise ConfigurationError(f"the command must be one of {', '.join(COMMANDS)}, got {name}{hint(name, COMMANDS)}")
    COMMANDS[name](_read(name, rest))
    return 0


@dataclass(frozen=True)
class _Query:
    """What a command was asked: runs by name, conditions, options."""

    names: tuple[str, ...]
    conditions: tuple[Condition, ...]
    options: Mapping[str, Any]

    @property
    def root(self) -> Path:
        return Path(str(self.options["root"]))

    @property
    def form(self) -> Format:
        form: Format = self.options["format"]
        return form

    def runs(self) -> list[Run]:
        """The runs meant, sorted and cut as asked."""
        every = [find_run(self.root, name) for name in self.names] or all_runs(self.root)
        self._refuse_unknown_keys(every)
        runs = [run for run in every if all(condition.holds(run) for condition in self.conditions)]
        limit = self.options.get("limit", len(runs))
        key = self.options.get("sort")
        return runs[max(0, len(runs) - limit) :] if key is None else _sorted(runs, str(key))[:limit]

    def _refuse_unknown_keys(self, runs: Sequence[Run]) -> None:
        """A key that no run has is misspelt, most likely."""
        wanted = [condition.key for condition in self.conditions]
        wanted += [str(self.options[name]).removeprefix("-") for name in ("sort", "metric") if name in self.options]
        wanted += self.options.get("columns") or []
        missing = [key for key in dict.fromkeys(wanted) if all(run.value(key) is None for run in runs)]
        known = {key for run in runs[-50:] for key in _keys(run)} if missing else set()
        unknown = [key for key in missing if key not in known]
        if unknown and runs:
            raise ConfigurationError([f"no run has a key {key}{hint(key, known)}" for key in unknown])


def _list(query: _Query) -> None:
    runs = query.runs()
    columns = query.options.get("columns")
    shown = columns or ["status", *_results(runs)[:RESULTS], "seconds.total"]
    rows = [[run.name, *(run.value(key) for key in shown)] for run in runs]
    if columns is None:
        rows = [[*row, " ".join(run.document.get("overrides") or [])] for row, run in zip(rows, runs, strict=True)]
        shown = [*shown, "overrides"]
    write_rows(["run", *shown], rows, query.form)


def _show(query: _Query) -> None:
    run = _named(query, 1)[0]
    if query.form == "json":
        shown = {"run": run.name, "folder": run.folder, **run.document, "config": run.config, "metrics": run.metrics}
        sys.stdout.write(to_json(shown))
        return
    rows = [("run", run.folder), ("", run.name), *_told(run)]
    sys.stdout.write("".join(f"{word:<10}{plain(value)}\n" for word, value in rows if plain(value)))


def _told(run: Run) -> Iterable[tuple[str, Any]]:
    document, error = run.document, run.document.get("error") or {}
    during = f" during {document['stage']}" if document.get("stage") else ""
    yield "status", f"{run.status}{during}"
    yield "error", f"{error['type']}: {error['message']}" if error else None
    yield "typed", " ".join(document.get("overrides") or [])
    yield "started", document.get("started")
    yield "model", run.value("model")
    yield "loader", run.value("loader")
    data = document.get("data") or {}
    counts, noun = (data["steps"], " batches") if "steps" in data else (data.get("samples") or {}, "")
    yield "data", f"{run.value('data')}: " + "  ".join(f"{split} {count:,}{noun}" for split, count in counts.items())
    for stage, results in (document.get("results") or {}).items():
        told = {key: value for key, value in results.items() if not isinstance(value, Mapping)}
        yield stage, "  ".join(f"{key} {brief(value)}" for key, value in told.items())
        yield "wait", results.get("wait", {}).get("advice")
    last = run.metrics[-1] if run.metrics else {}
    yield "last", "  ".join(f"{key} {brief(value)}" for key, value in last.items())
    yield "seconds", "  ".join(f"{key} {brief(value)}" for key, value in (document.get("seconds") or {}).items())
    git = document.get("git") or {}
    yield "code", f"{git['commit'][:10]}{', changed since' if git.get('dirty') else ''}" if git.get("commit") else None
    yield "files", "  ".join(sorted(file.name for file in run.folder.iterdir() if not file.name.startswith(".")))


def _compare(query: _Query) -> None:
    runs = query.runs()
    if len(runs) < 2:
        raise RunnerError(f"compare needs at least two runs, got {len(runs)}; python -m runner.runs list names them")
    keys = [difference.key for difference in differences(runs) if difference.part == "config"]
    speed = [name for name in SPEED if any(run.value(name) is not None for run in runs)]
    shown = ["status", *keys, *_results(runs), *speed]
    write_rows(["run", *shown], [[run.name, *(_raw(run, key) for key in shown)] for run in runs], query.form)


def _raw(run: Run, key: str) -> Any:
    value = run.value(key)
    return None if isinstance(value, Mapping) else value


def _diff(query: _Query) -> None:
    runs = _named(query, 2)
    found = differences(runs)
    if not found and query.form == "table":
        sys.stdout.write(f"{runs[0].name} and {runs[1].name} differ in nothing but their times\n")
        return
    rows = [[difference.part, difference.key, *difference.values] for difference in found]
    write_rows(["part", "key", *(run.name for run in runs)], rows, query.form)


def _best(query: _Query) -> None:
    if "metric" not in query.options:
        raise ConfigurationError("best must be told what to go by; add metric=val_loss")
    metric = str(query.options["metric"])
    goal = query.options.get("goal") or goal_of(metric)
    if goal is None:
        raise ConfigurationError(f"goal must say whether more of {metric} is better: add goal=max or goal=min")
    scored = [(value, run) for run in query.runs() if _is_number(value := run.value(metric))]
    if not scored:
        raise RunnerError(f"no run that is meant has a number for {metric}")
    # Of equals the newest.
    _, run = (max if goal == "max" else min)(reversed(scored), key=lambda pair: pair[0])
    sys.stdout.write(f"{run.folder}\n")


def _clean(query: _Query) -> None:
    runs = [run for run in query.runs() if is_fruitless(run)]
    sizes = [size_bytes(run.folder) for run in runs]
    rows = [[run.name, run.status, format_bytes(size), _kept(run)] for run, size in zip(runs, sizes, strict=True)]
    write_rows(["run", "status", "size", "holds"], rows, query.form)
    removing = query.options.get("yes", False)
    if removing:
        remove(runs, query.root)
    if query.form == "table":
        done = "removed" if removing else "would be removed; add yes=true to remove them"
        sys.stdout.write(f"\n{len(runs)} runs, {format_bytes(sum(sizes))}, {done}\n" if runs else "nothing to clean\n")


def _kept(run: Run) -> str:
    """What somebody might miss."""
    return ", ".join(name for name in ("model.keras", "checkpoints") if (run.folder / name).exists())


Command = Callable[[_Query], None]
COMMANDS: dict[str, Command] = {
    "list": _list,
    "show": _show,
    "compare": _compare,
    "diff": _diff,
    "best": _best,
    "clean": _clean,
}
OPTIONS: dict[str, tuple[str, ...]] = {
    "list": ("format", "root", "columns", "sort", "limit"),
    "show": ("format", "root"),
    "compare": ("format", "root", "sort", "limit"),
    "diff": ("format", "root"),
    "best": ("format", "root", "metric", "goal"),
    "clean": ("format", "root", "yes"),
}
ACCEPTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "format": (f"one of {', '.join(FORMATS)}", lambda value: value in FORMATS),
    "columns": ("a list of keys, [loader,val_loss]", lambda value: isinstance(value, list) and len(value) > 0),
    "limit": ("a whole number above 0", lambda value: type(value) is int and value > 0),
    "goal": ("max or min", lambda value: value in ("max", "min")),
    "yes": ("true or false", lambda value: isinstance(value, bool)),
}
"""Options that not every text will do for: what they must be."""
BY_NAME = {"show": 1, "diff": 2}
"""How many runs a command takes; the others take conditions."""


def _read(command: str, texts: Sequence[str]) -> _Query:
    words: Words = read_words(texts, OPTIONS[command])
    problems = [*words.problems]
    problems += [
        f"{name} must be {expected}, got {plain(words.options[name])}"
        for name, (expected, fits) in ACCEPTED.items()
        if name in words.options and not fits(words.options[name])
    ]
    problems += [f"{asked.key} is no option of {command}" for asked in words.asked if asked.key in _every_option()]
    if command in BY_NAME:
        problems += [f"{command} takes no condition, got {asked.key}" for asked in words.asked]
    elif command != "compare":
        problems += [f"{name} must be KEY=VALUE or option=value: {command} takes no run" for name in words.names]
    if problems:
        raise ConfigurationError(problems)
    conditions = tuple(Condition(asked.key, asked.sign, asked.values) for asked in words.asked)
    return _Query(words.names, conditions, {"root": "outputs", "format": "table", **words.options})


def _every_option() -> set[str]:
    return {name for names in OPTIONS.values() for name in names}


def _named(query: _Query, count: int) -> list[Run]:
    if len(query.names) != count:
        raise ConfigurationError(f"name {count} {'run' if count == 1 else 'runs'}, got {len(query.names)}; see help")
    return [find_run(query.root, name) for name in query.names]


def _results(runs: Iterable[Run]) -> list[str]:
    """The numbers evaluation gave any of these runs, by the short keys of conditions."""
    results = [((run.document.get("results") or {}).get("evaluate") or {}) for run in runs]
    return list(dict.fromkeys(f"evaluate.{key}" for result in results for key in result if _is_number(result[key])))


def _sorted(runs: list[Run], key: str) -> list[Run]:
    """Numbers, then text, then runs that have nothing there."""
    name, descending = key.removeprefix("-"), key.startswith("-")
    having = [(value, run) for run in runs if (value := run.value(name)) is not None]
    having.sort(key=lambda pair: (not _is_number(pair[0]), pair[0] if _is_number(pair[0]) else 0, plain(pair[0])))
    ordered = [run for _, run in (reversed(having) if descending else having)]
    return ordered + [run for run in runs if run.value(name) is None]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _keys(run: Run) -> Iterable[str]:
    """Every key of a run, groups and sections too."""
    yield "run"
    for document in (run.config, run.document, run.document.get("results") or {}):
        for key, _ in flat(document):
            parts = key.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    yield from run.metrics[0] if run.metrics else ()


if __name__ == "__main__":
    sys.exit(main())
