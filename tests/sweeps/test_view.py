"""The screen while a sweep runs."""

import io
import re

from rich.console import Console

from runner.sweeps.process import JobOutcome
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan
from runner.sweeps.view import view_of

FAILED = JobOutcome(1, "failed", 1, 2.5)


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


def test_pipe_has_a_line_per_finished_job(tmp_path):
    assert shown(tmp_path, terminal=False) == "          1/3  job 1  failed       2.5 s  seed=1\n"


def test_terminal_has_a_row_per_started_job(tmp_path):
    drawn = shown(tmp_path, terminal=True)
    assert "1 of 3 done, 1 waiting" in drawn
    rows = [line.split() for line in drawn.splitlines()]
    assert ["1", "1", "failed", "2.5"] in rows
    assert any(row[:3] == ["0", "0", "starting"] for row in rows)


def test_rows_and_columns_keep_their_places(tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False, color_system=None)
    plan = plan_in(tmp_path)
    with view_of(plan, len(plan.jobs), console) as view:
        view.on_start(plan.jobs[0])
        view.on_start(plan.jobs[1])
        before = last_drawn(console)
        view.on_end(JobOutcome(1, "completed", 0, 2.5))
        after = last_drawn(console)
    assert [line.split()[0] for line in before[:3]] == [line.split()[0] for line in after[:3]] == ["job", "0", "1"]
    assert before[0] == after[0]


def last_drawn(console):
    """The last table on the screen."""
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", console.file.getvalue())
    return text[text.rindex("job  ") :].splitlines()
