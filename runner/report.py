"""The command line of `python -m runner.report`: draw the page of a run or of a sweep again from its files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runner.config.words import read_words
from runner.errors import ConfigurationError
from runner.exit import guarded, run_command
from runner.messages import plural
from runner.records.folder import outputs
from runner.records.run_names import find_run
from runner.reports.page import write_report
from runner.reports.sweep_page import write_job_pages, write_sweep_report
from runner.sweeps.results import read_results
from runner.sweeps.results_table import report_results
from runner.sweeps.sweep_plan import SWEEP_JSON

HELP = """\
usage: python -m runner.report RUN|SWEEP [output_dir=outputs]

Draw report.html of a run again, from the files in its folder. For a sweep,
write report.html, sweep.csv and summary.md again, and the pages of all jobs;
SWEEP/NUMBER draws the page of one job.

run, sweep
  a folder, or any part of a name that no other run or sweep has; latest is
  the newest run

options
  output_dir=outputs    the folder that holds runs/ and sweeps/; root=outputs is
                        the same

exit codes: 0 done; 1 the page cannot be written; 2 the command line is wrong
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line, or `arguments`, say; the exit code."""
    return guarded(lambda: execute(sys.argv[1:] if arguments is None else arguments), what="the command line")


def execute(texts: Sequence[str]) -> int:
    """Run the command in these words; 0. Raises `ConfigurationError` with every problem of the words."""
    return run_command(texts, HELP, _draw)


def _draw(texts: Sequence[str]) -> None:
    words = read_words(texts, ("root", "output_dir"))
    problems = [
        *words.problems,
        *(f"unknown option '{word.key}'; give output_dir" for word in words.comparisons),
    ]
    if len(words.names) != 1:
        problems.append(f"report takes 1 run, got {len(words.names)}; see --help")
    if problems:
        raise ConfigurationError(problems)
    given = [Path(str(folder)) for folder in words.options.values()]
    root, name = outputs(given[0] if given else None), words.names[0]
    if (sweep := _sweep_folder(root, name)) is not None:
        _draw_sweep(sweep)
        return
    run = find_run(root, name)
    sys.stdout.write(f"report    {write_report(run.path)}\n")


def _sweep_folder(root: Path, name: str) -> Path | None:
    """The folder of the sweep that is given by its folder, or by a part of its name that no run and no other has."""
    for folder in (Path(name), root / "sweeps" / name):
        if (folder / SWEEP_JSON).exists():
            return folder
    sweeps = [file.parent for file in (root / "sweeps").glob(f"*/{SWEEP_JSON}") if name in file.parent.name]
    has_run = any(name in folder.name for folder in (root / "runs").glob("*"))
    return sweeps[0] if len(sweeps) == 1 and not has_run else None


def _draw_sweep(folder: Path) -> None:
    """Write the table of a sweep, the pages of all its jobs, and its own page, which links them."""
    results = read_results(folder)
    report_results(results)
    sys.stdout.write(f"pages     of {plural(write_job_pages(results), 'job')} drawn\n")
    sys.stdout.write(f"report    {write_sweep_report(results)}\n")


if __name__ == "__main__":
    sys.exit(main())
