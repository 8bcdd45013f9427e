"""What a person is told when a sweep or a search has ended, however it did: its table, its files, its page."""

from __future__ import annotations

import sys
from pathlib import Path

from runner.reports.sweep_page import write_sweep_report
from runner.sweeps.results import SweepResults, read_results
from runner.sweeps.results_table import tell


def tell_end(folder: Path) -> SweepResults:
    """Tell what came of the sweep in `folder`; its results."""
    results = read_results(folder)
    sys.stdout.write("\n")
    tell(results)
    _draw(results)
    return results


def _draw(results: SweepResults) -> None:
    """Draw the page. No sweep fails for it."""
    try:
        sys.stdout.write(f"report    {write_sweep_report(results)}\n")
    except Exception as error:
        sys.stdout.write(f"no report was written: {type(error).__name__}: {error}\n")
