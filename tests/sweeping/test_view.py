"""What a person sees while a sweep runs."""

import io

from rich.console import Console

from runner.records.sweep import PlannedJob, SweepPlan
from runner.sweeping.process import Outcome
from runner.sweeping.view import view_of

FAILED = Outcome(1, "failed", 1, 2.5)


def plan_in(folder):
    jobs = tuple(PlannedJob(number, (f"seed={number}",), {"seed": number}) for number in range(3))
    return SweepPlan(folder, (), ("seed",), jobs)


def shown(folder, *, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)
    plan = plan_in(folder)
    with view_of(plan, len(plan.jobs), console) as view:
        view.on_start(plan.jobs[1])
        view.on_start(plan.jobs[0])
        view.on_tick()
        view.on_end(FAILED)
    return console.file.getvalue()


def test_without_a_terminal_there_is_a_line_for_each_job_that_ends(tmp_path):
    assert shown(tmp_path, terminal=False) == "          1/3  job 1  failed       2.5 s  seed=1\n"


def test_terminal_has_a_row_for_each_job_that_runs_or_has_ended(tmp_path):
    drawn = shown(tmp_path, terminal=True)
    assert "1 of 3 done, 1 waiting" in drawn
    rows = [line.split() for line in drawn.splitlines()]
    assert ["1", "1", "failed", "2.5"] in rows
    assert any(row[:3] == ["0", "0", "starting"] for row in rows)
