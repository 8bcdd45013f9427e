"""Nothing of a loader outlives its process, however that ended."""

import os
import signal
import subprocess
import sys
import time

import psutil

SCRIPT = """
import multiprocessing, sys, time
import runner

if __name__ == "__main__":
    keys = [f"data.root={sys.argv[1]}", "loader.workers=2", "loader.use_multiprocessing=true"]
    loader, seen = runner.build_loader(runner.compose(keys)), set()
    loader.clock.add = lambda span: seen.add(span.thread)  # of the main thread of a worker: its process id
    batches = loader.stream(0)
    while len(seen & {child.pid for child in multiprocessing.active_children()}) < 2:
        next(batches)  # until both have read: importing takes a worker seconds on a busy machine
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(60)
"""


def shared_memory(pid):
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"keras-runner-{pid}-")]


def test_workers_and_memory_end_with_the_parent(digits_root, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, script, digits_root], stdout=subprocess.PIPE, text=True) as process:
        children = [int(pid) for pid in process.stdout.readline().split()]
        assert shared_memory(process.pid)
        process.send_signal(signal.SIGKILL)
    assert len(children) == 2
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (shared_memory(process.pid) or any(map(psutil.pid_exists, children))):
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, children))
    assert not shared_memory(process.pid)
