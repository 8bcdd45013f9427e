"""What processes use, as counted while they live and once they have ended: children that are small scripts."""

import os
import subprocess
import sys
from collections import namedtuple
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from runner.machine import cpu_seconds, memory_bytes, peak_memory_bytes

MB = 1_000_000
TIMES = namedtuple("TIMES", "user system children_user children_system")
BURN = "import time\nwhile time.process_time() < 0.5: pass"
TAKE_AND_LEAVE = "taken = bytearray(b'x') * 60_000_000\ndel taken"
SHARE = "import mmap\nshared = mmap.mmap(-1, 60_000_000)\nfor place in range(0, len(shared), 4096): shared[place] = 1"
TELL = "from runner.machine import peak_memory_bytes\nprint(peak_memory_bytes())"


@contextmanager
def child_after(script):
    """A child that has done what the script says, and lives until the block ends."""
    told = f"{script}\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", told], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        yield child
        child.communicate(b"\n")


def test_child_time_counts_before_and_after_exit():
    before = cpu_seconds()
    with child_after(BURN):
        while_it_lives = cpu_seconds()
    assert 0.45 < while_it_lives - before < 5
    assert cpu_seconds() >= while_it_lives


def test_ended_child_takes_no_time_away(monkeypatch):
    """0.1 + 0.2 + 0.3 in floating point depends on the order: the sum is in the steps in which the system counts."""
    counts = iter([(0.1, 0.2, 0.3, 0.0), (0.3, 0.2, 0.1, 0.0)])
    process = SimpleNamespace(children=lambda recursive: [], cpu_times=lambda: TIMES(*next(counts)))
    monkeypatch.setattr("psutil.Process", lambda: process)
    assert cpu_seconds() == cpu_seconds() == 0.6


def test_time_of_this_process_counts():
    before, began = cpu_seconds(), os.times()
    while sum(os.times()[:2]) - sum(began[:2]) < 0.2:
        pass
    assert 0.15 < cpu_seconds() - before < 5


def test_child_peak_counts_freed_memory():
    before = peak_memory_bytes()
    with child_after(TAKE_AND_LEAVE) as child:
        assert 60 * MB < peak_memory_bytes() - before < 120 * MB
        assert memory_bytes(child.pid) < 60 * MB


def test_shared_memory_is_not_a_childs_own():
    before = peak_memory_bytes()
    with child_after(SHARE) as child:
        assert memory_bytes(child.pid) > 60 * MB
        assert peak_memory_bytes() - before < 40 * MB


@pytest.mark.parametrize(("script", "least", "most"), [(TAKE_AND_LEAVE, 60 * MB, 160 * MB), ("", 5 * MB, 90 * MB)])
def test_process_peak_is_the_most_ever_used(script, least, most):
    told = subprocess.run([sys.executable, "-c", f"{script}\n{TELL}"], capture_output=True, text=True, check=True)
    assert least < int(told.stdout) < most


def test_process_that_is_gone_has_no_memory():
    with child_after("") as child:
        pass
    assert memory_bytes(child.pid) == 0
