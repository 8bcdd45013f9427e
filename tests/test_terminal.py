"""The account on the terminal."""

import io
from pathlib import Path

from rich.console import Console

from runner.terminal import Terminal

ROW = {
    "loss": 0.5,
    "accuracy": 0.75,
    "learning_rate": 0.001,
    "seconds": 1.5,
    "samples_seen": 10,
    "images_per_second": 1234.5,
}


def account(act, *, terminal=False):
    out = io.StringIO()
    act(Terminal(Console(file=out, width=100, force_terminal=terminal, highlight=False, soft_wrap=True)))
    return out.getvalue()


def test_lines_stand_in_two_columns():
    assert account(lambda terminal: terminal.lines([("data", "digits"), ("", "[10] classes")])) == (
        "data      digits\n          [10] classes\n"
    )


def test_epochs_are_a_table_under_one_header():
    def act(terminal):
        with terminal.training(epochs=2, steps_per_epoch=3) as view:
            view.on_step(0)
            view.on_epoch(1, ROW)
            view.on_epoch(2, ROW)

    header, first, second = account(act).splitlines()
    assert header.split() == ["epoch", "loss", "accuracy", "seconds", "images/s"]
    assert first.split() == ["1/2", "0.5000", "0.7500", "1.50", "1,234"]
    assert len(header) == len(first) == len(second)


def test_progress_shows_the_runs_total_on_a_terminal():
    def act(terminal):
        with terminal.training(epochs=2, steps_per_epoch=3) as view:
            view.on_step(3)

    assert "4/6" in account(act, terminal=True)


def test_paths_are_never_wrapped():
    folder = Path("/tmp") / ("x" * 200)
    assert account(lambda terminal: terminal.path("run", folder)) == f"run       {folder}\n"
