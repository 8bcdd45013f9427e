"""Signals: what ends a run after its step, what ends it at once, and what a process leaves to its parent."""

import gc
import io
import os
import signal
import subprocess
import sys
import time

import pytest

from runner import exit as ends
from runner.errors import Terminated
from runner.modes.terminal import Terminal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.fixture
def handlers():
    """Puts the handlers of signals back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", SIGNALS)
def test_signals_at_once_are_one_request(handlers, first):
    with ends.interruptible() as interruption:
        send(first, signal.SIGTERM)
    assert interruption.requested is ends.SIGNALS[first]
    with pytest.raises(Terminated), ends.terminable():
        with ends.interruptible():
            send(first)
        send(signal.SIGTERM)  # still of the first request
        ends.REQUESTS.forget()
        send(signal.SIGTERM)


def test_second_request_ends_at_once(handlers, monkeypatch):
    monkeypatch.setattr(ends, "SAME_SECONDS", -1)
    with pytest.raises(KeyboardInterrupt), ends.interruptible():
        send(signal.SIGINT, signal.SIGINT)


def by_command():
    ends.guarded(lambda: sys.stdout.write("8×8 of ❤"))


def from_python():
    Terminal().lines([("data", "8×8 of ❤")])


@pytest.mark.parametrize("write", [by_command, from_python])
def test_text_that_no_encoding_has_is_escaped(write, monkeypatch):
    printed = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", printed)
    write()
    printed.flush()
    assert rb"8\xd78 of \u2764" in printed.buffer.getvalue()


def test_terminal_is_kept_for_python(tmp_path, capfd):
    written = """
import os, sys; from pathlib import Path; from runner.exit import keep_terminal
keep_terminal(Path(sys.argv[1])); print("epoch 1"); sys.stderr.write("note")
[os.write(number, b"C++") for number in (1, 2)]
"""
    subprocess.run([sys.executable, "-c", written, str(tmp_path / "0.log")], check=True)
    assert tuple(capfd.readouterr()) == ("epoch 1\n", "note")
    assert (tmp_path / "0.log").read_text() == "C++C++"


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_garbage_is_collected_counts(handlers, number):
    def interrupted(phase, info):
        gc.callbacks.remove(interrupted)
        send(number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(ends.SIGNALS[number]), ends.terminable():
        gc.callbacks.append(interrupted)
        gc.collect()
        for _ in range(1000):
            time.sleep(0.01)


def test_signals_are_left_to_the_parent(handlers):
    left = ends.SignalsOfTheParent()
    left.install()
    with ends.interruptible() as interruption:
        send(*SIGNALS)
        assert interruption.requested is None
        with pytest.raises(Terminated):
            left.ends()
        send(*SIGNALS)  # its cleaning up goes on
