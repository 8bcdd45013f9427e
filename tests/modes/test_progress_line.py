"""The line of progress fits the terminal, leaves out what matters least, and keeps its places."""

import io
import re

import pytest
from rich.console import Console
from rich.progress import Progress

from runner.modes.progress_line import ProgressLine, value_text
from runner.modes.terminal import Terminal, TrainingPace

VALUES = {"loss": 0.25, "accuracy": 0.875, "top_5_accuracy": 1.0}
ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


def line_at(width, values=VALUES, epochs=24, waits="waits 4%"):
    """What stands in the line at a width, after a step of the third epoch."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    with Progress(console=console, auto_refresh=False) as progress:
        line = ProgressLine(progress, epochs, 200)
        line.advance(410)
        line.show(410, values, "1,230 images/s", waits)
        out.seek(0)
        out.truncate()
        progress.refresh()
    text = ESCAPES.sub("", out.getvalue()).replace("\r", "\n").strip().splitlines()[0]
    assert len(text.rstrip()) <= width
    return text


def test_wide_line_shows_everything():
    shown = line_at(140)
    for part in ("fit ━", "411/4800 steps", " left", "epoch 3/24", "loss 0.2500", "accuracy 0.8750"):
        assert part in shown
    assert "top_5_accuracy 1.0000" in shown and "1,230 images/s" in shown and "waits 4%" in shown


def test_80_columns_have_loss_metric_and_time_left():
    shown = line_at(80)
    assert re.search(r"fit [━╸ ]+ \S+ left +epoch 3/24 +loss 0\.2500  accuracy 0\.8750  waits 4%", shown)
    assert "images/s" not in shown and "steps" not in shown and "top_5" not in shown


@pytest.mark.parametrize(
    ("width", "kept", "gone"),
    [(105, "steps", "images/s"), (72, "accuracy", "━"), (60, "waits", "accuracy"), (44, "loss", "waits")],
)
def test_what_matters_least_is_left_out_first(width, kept, gone):
    shown = line_at(width)
    assert kept in shown and gone not in shown
    assert "left" in shown and "epoch 3/24" in shown and "loss 0.2500" in shown


def test_places_stay_as_values_grow():
    before, after = (
        line_at(100),
        line_at(100, {"loss": 123.5, "accuracy": 0.0, "top_5_accuracy": 0.0}, waits="waits 100%"),
    )
    assert [before.index(name) for name in ("loss", "accuracy", "waits")] == [
        after.index(name) for name in ("loss", "accuracy", "waits")
    ]


def test_values_keep_their_width():
    texts = [value_text("loss", value) for value in (0.1, 1.23456, 98.7654, 1234.5, 99999.4, 3e7, float("nan"))]
    assert texts[:3] == ["loss 0.1000", "loss 1.2346", "loss 98.765"]
    assert max(map(len, texts)) <= len("loss 0.1234")


def test_line_in_a_pipe_has_loss_and_metrics(monkeypatch):
    clock = {"now": 0.0}
    monkeypatch.setattr("runner.modes.terminal.time.monotonic", lambda: clock["now"])
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=100, highlight=False, soft_wrap=True))
    with terminal.training(epochs=2, steps_per_epoch=150, pace=TrainingPace(8, lambda: 0.0)) as view:
        view.begin(lambda: {"loss": 0.25, "accuracy": 0.875})
        view.on_step(0)
        clock["now"] = 60.0
        view.on_step(120)
    assert out.getvalue().strip() == (
        "step 120 of 300  epoch 1/2  loss 0.2500  accuracy 0.8750  16 images/s  waits 0%  0:01:30 left"
    )
