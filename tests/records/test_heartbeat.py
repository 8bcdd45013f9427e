"""Identity of a process, also after its number was used again, and its heartbeat."""

import json
import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from runner.records import heartbeat
from runner.records.heartbeat import LOST_SECONDS, Heartbeat, is_alive, process_identity

CHILD = (
    "import json, sys; from runner.records.heartbeat import process_identity;"
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


def test_other_host_is_judged_by_its_heartbeat(tmp_path):
    identity, file = {**process_identity(), "host": "elsewhere"}, tmp_path / "run.json"
    file.touch()
    assert is_alive(identity, file)
    os.utime(file, (0, time.time() - LOST_SECONDS - 1))
    assert not is_alive(identity, file)
    assert is_alive({**identity, "heartbeat_seconds": None}, file)  # of an earlier version


def test_other_container_is_judged_by_heartbeat(tmp_path):
    identity, file = {**process_identity(), "pid_namespace": "pid:[1]", "pid": 2**22}, tmp_path / "run.json"
    file.touch()
    assert is_alive(identity, file)
    os.utime(file, (0, 0))
    assert not is_alive(identity, file)


def test_heartbeat_touches_until_it_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.001)
    file = tmp_path / "run.json"
    file.touch()
    os.utime(file, (0, 0))
    beating = Heartbeat(file)
    while file.stat().st_mtime == 0:
        time.sleep(0.001)
    beating.close()
    os.utime(file, (0, 0))
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())
    assert file.stat().st_mtime == 0


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
