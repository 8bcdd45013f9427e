"""Identity of a process, also after its number was used again."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from runner.records.record import is_alive, process_identity

CHILD = (
    "import json, sys; from runner.records.record import process_identity;"
    "print(json.dumps(process_identity()), flush=True); sys.stdin.read()"
)


def test_this_process_is_alive():
    identity = process_identity()
    assert identity["pid"] == os.getpid()
    assert is_alive(json.loads(json.dumps(identity)))


def test_killed_child_is_dead_before_wait():
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        identity = json.loads(child.stdout.readline())
        assert is_alive(identity)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(identity)
        child.wait()
        assert not is_alive(identity)


def test_reused_process_id_is_another_process():
    identity = process_identity()
    assert not is_alive({**identity, "started_seconds_after_boot": 0.0})


def test_no_process_outlives_a_boot():
    assert not is_alive({**process_identity(), "boot_id": "an earlier one"})


@pytest.mark.parametrize("identity", [{"host": "elsewhere", "pid": 1, "boot_id": "x"}, {}])
def test_unknown_process_may_be_alive(identity):
    assert is_alive(identity)


def test_clock_changes_keep_process_identity(
    monkeypatch,
):
    identity = process_identity()
    create_time, boot_time = psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda p: create_time(p) + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time() + 3600)
    assert is_alive(identity)
