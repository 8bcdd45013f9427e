"""The command line of `python -m runner.runs`: its help and its commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from runner.errors import ConfigurationError
from runner.exit import guarded, run_command
from runner.messages import did_you_mean
from runner.runs.commands import best, clean, compare, diff, list_runs, page, show
from runner.runs.query import Query, read

HELP = """\
usage: python -m runner.runs COMMAND [RUN ...] [CONDITION ...] [option=value]

Search and compare the runs below outputs/, jobs of sweeps included. Only the
files of the runs are read.

commands
  list                  all runs, one line each, the newest last
  show RUN              a summary of one run
  compare [RUN ...]     several runs in one table: keys that differ, and results
  diff RUN RUN          every difference of two runs: configuration, code,
                        packages, data, digests, results
  best metric=KEY       the folder of the best run, for scripts
  clean                 runs that failed, were killed or left no record;
                        yes=true removes them
  page                  draw index.html again: all runs in a browser

run
  a folder, latest, or any part of a run's name that no other run has: 7550ad,
  2026-11-21_06-20-11_7550ad/3

conditions (for list, compare, best and clean; quote < and >)
  KEY=VALUE  KEY!=VALUE  'KEY>VALUE'  'KEY>=VALUE'  'KEY<VALUE'  'KEY<=VALUE'
  A key is one of the configuration (loader, train.epochs), of run.json (status,
  results.evaluate.accuracy, or evaluate.accuracy for short), or a column of
  metrics.csv (val_loss: its best epoch, see goal). Values are written as in
  overrides; seed=0,1 means either.

options
  format=table          table, csv or json
  columns=[KEY,...]     the columns of list
  sort=KEY              the order of list and compare; sort=-KEY descending
  limit=N               the newest N runs; with sort, the first N
  metric=KEY goal=max   the metric of best; goal=min or max is known for losses,
                        errors, accuracies and Keras's metrics
  output_dir=outputs    the folder that holds runs/ and sweeps/; root=outputs is
                        the same
  yes=true              let clean remove the runs it lists
  takeover=true         let clean list runs of other hosts, too, which their
                        records say are still running

examples
  python -m runner.runs list loader=sequence,generator 'evaluate.accuracy>0.97'
  python -m runner.runs compare train.epochs=15 sort=-val_accuracy format=csv
  python -m runner mode=predict \\
    from_run=$(python -m runner.runs best metric=val_loss)

exit codes: 0 done; 1 no run matches, or nothing can be drawn; 2 the command
line is wrong
"""

COMMANDS: Mapping[str, Callable[[Query], None]] = {
    "list": list_runs,
    "show": show,
    "compare": compare,
    "diff": diff,
    "best": best,
    "clean": clean,
    "page": page,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line, or `arguments`, say; the exit code."""
    return guarded(lambda: execute(sys.argv[1:] if arguments is None else arguments), what="the command line")


def execute(texts: Sequence[str]) -> int:
    """Run the command in these words; 0. Raises `ConfigurationError` with every problem of the words."""
    return run_command(texts, HELP, _answer)


def _answer(texts: Sequence[str]) -> None:
    name, *rest = texts
    if name not in COMMANDS:
        raise ConfigurationError(
            f"command must be one of {', '.join(COMMANDS)}, got {name}{did_you_mean(name, COMMANDS)}"
        )
    COMMANDS[name](read(name, rest))


if __name__ == "__main__":
    sys.exit(main())
