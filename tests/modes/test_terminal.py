"""The summary on the terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from runner.modes import terminal as module
from runner.modes.terminal import Terminal, TrainingPace

ROW = {
    "loss": 0.5,
    "accuracy": 0.75,
    "learning_rate": 0.001,
    "seconds": 1.5,
    "samples_seen": 10,
    "images_per_second": 1234.5,
    "wait_share": 0.0432,
}


def printed(act, *, terminal=False, width=100):
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, highlight=False, soft_wrap=True)
    act(Terminal(console))
    return out.getvalue()


def test_lines_stand_in_two_columns():
    assert printed(lambda terminal: terminal.lines([("data", "digits"), ("", "[10] classes")])) == (
        "data      digits\n          [10] classes\n"
    )


ADVICE = "the model waited 17% of the time, mostly for reading: set loader.cache=memory (all samples take 80.4 kB)"


def test_notebook_gets_lines_of_text(capsys, monkeypatch):
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setattr("rich.console.get_ipython", shell, raising=False)
    assert Console().is_jupyter
    Terminal().lines([("data", "digits"), ("", "10 classes")])
    assert capsys.readouterr().out == "data      digits\n          10 classes\n"


def test_terminal_breaks_lines_between_words():
    def act(terminal):
        terminal.lines([("wait", ADVICE), ("next", f"python -m runner resume={'a' * 70} train.epochs=3")])
        terminal.note(ADVICE)

    lines = [ESCAPES.sub("", line) for line in printed(act, terminal=True, width=80).splitlines()]
    broken = [
        "the model waited 17% of the time, mostly for reading: set",
        "          loader.cache=memory (all samples take 80.4 kB)",
    ]
    command = f"next      python -m runner resume={'a' * 70} train.epochs=3"
    assert lines == [f"wait      {broken[0]}", broken[1], command, f"          {broken[0]}", broken[1]]
    assert f"wait      {ADVICE}\n" in printed(act)


def test_narrow_table_leaves_out_its_last_columns():
    rows = [["directory_flow use_multiprocessing=true", "1,234", "0.08"], ["in_memory", "9", "12.50"]]

    def act(terminal):
        terminal.table(["loader", "samples/s", "ms/batch"], rows)

    lines = [ESCAPES.sub("", line).rstrip() for line in printed(act, terminal=True, width=40).splitlines()]
    assert lines[0].split() == ["loader", "samples/s"] and lines[-1] == "          left out: ms/batch"
    assert [line.split() for line in lines[1:-1]] == [
        ["directory_flow", "1,234"],
        ["use_multiprocessing=true"],
        ["in_memory", "9"],
    ]
    assert max(map(len, lines)) <= 40
    assert "12.50" in printed(act)


def test_epochs_are_a_table_under_one_header():
    def act(terminal):
        with terminal.training(epochs=2, steps_per_epoch=3, pace=TrainingPace(8, lambda: 0.0)) as view:
            view.on_step(0)
            view.on_epoch(1, ROW)
            view.on_epoch(2, ROW)

    header, first, second = printed(act).splitlines()
    assert header.split() == ["epoch", "loss", "accuracy", "seconds", "images/s", "wait"]
    assert first.split() == ["1/2", "0.5000", "0.7500", "1.50", "1,234", "4.3%"]
    assert len(header) == len(first) == len(second)


ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
WIDE = {"loss": 0.5, "bi_accuracy": 0.75, "multi_accuracy": 0.5, "val_loss": 0.6, "val_bi_accuracy": 0.7}
WIDE |= {"val_multi_accuracy": 0.4, "learning_rate": 0.1, "seconds": 1.5, "images_per_second": 12.0, "wait_share": 0.1}


def test_narrow_terminal_keeps_what_decides():
    def act(terminal):
        pace = TrainingPace(8, lambda: 0.0)
        with terminal.training(epochs=2, steps_per_epoch=3, pace=pace, monitor="val_multi_accuracy") as view:
            view.on_epoch(1, WIDE)

    plain = ESCAPES.sub("", printed(act, terminal=True, width=70))
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not line.strip().startswith("fit")]
    assert lines[:2] == ["left out: multi_accuracy, val_bi_accuracy, seconds,", "images/s; metrics.csv has all"]
    assert lines[2].split() == ["epoch", "loss", "bi_accuracy", "val_loss", "val_multi_accuracy", "wait"]
    assert lines[3].split() == ["1/2", "0.5000", "0.7500", "0.6000", "0.4000", "10.0%"]
    assert max(map(len, lines[1:])) <= 70


def test_progress_shows_the_runs_total():
    def act(terminal):
        with terminal.training(epochs=2, steps_per_epoch=3, pace=TrainingPace(8, lambda: 0.0)) as view:
            view.on_step(3)

    shown = ESCAPES.sub("", printed(act, terminal=True))
    assert "4/6 steps" in shown and "left  epoch 2/2" in shown


def test_paths_are_never_wrapped():
    folder = Path("/tmp") / ("x" * 200)
    assert printed(lambda terminal: terminal.path("run", folder)) == f"run       {folder}\n"


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets; what it shows, and of that what was waited."""
    shown = {"now": 100.0, "waited": 7.0}
    monkeypatch.setattr(module.time, "monotonic", lambda: shown["now"])
    return shown


def steps_of_half_a_second(clock, num_steps, *, terminal=False):
    """Steps of 8 samples, of which a fifth is waited; a pause for validation at step 100."""

    def act(terminal):
        pace = TrainingPace(8, lambda: clock["waited"])
        with terminal.training(epochs=2, steps_per_epoch=150, pace=pace) as view:
            for step in range(num_steps):
                view.on_step(step)
                clock["now"] += 0.5
                clock["waited"] += 0.1
                if step == 99:
                    clock["now"] += 1000
                    view.on_epoch(1, ROW)

    return printed(act, terminal=terminal)


def test_pace_is_one_line_a_minute_in_a_pipe(clock):
    lines = steps_of_half_a_second(clock, 230).splitlines()
    told = [line.strip() for line in lines if "step " in line]
    assert told == ["step 220 of 300  epoch 2/2  16 images/s  waits 20%  0:00:40 left"]  # a minute after the validation


def test_pace_updates_in_place_on_a_terminal(clock):
    told = steps_of_half_a_second(clock, 5, terminal=True)
    assert re.search("16 images/s +waits 20%", told)
    assert " of 300" not in told


def test_pace_of_an_idle_clock_divides_by_nothing(clock):
    pace = TrainingPace(8, lambda: clock["waited"])
    assert pace.seconds(5) == 0.0
    assert pace.texts(5) == ("0 images/s", "waits 0%")


def test_names_do_nothing_to_the_terminal():
    output = io.StringIO()
    terminal = Terminal(Console(file=output, force_terminal=True, width=200, color_system=None))
    name = "b\x1b]0;pwned\x07\x9b2J\ncaf\udce9\u202e[bold]"
    terminal.summary([("data", name)])
    terminal.note(name)
    terminal.path("run", Path(name))
    terminal.table([name, "n"], [[name, "1"]])
    plain = r"b\x1b]0;pwned\x07\x9b2J\ncaf\udce9\u202e[bold]"
    assert output.getvalue().count(plain) == 5
    assert not set(output.getvalue()) & set("\x07\x9b\udce9\u202e")


def test_copying_says_rate_and_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def act(terminal):
        with terminal.copying("pack", 1_000) as on_samples:
            on_samples(100, 0)  # were there already
            now[0] = 30.0
            on_samples(200, 90_000_000)
            now[0] = 60.0
            on_samples(100, 90_000_000)

    assert printed(act).strip() == "400 of 1,000 samples  3.0 MB/s  0:02:00 left"
