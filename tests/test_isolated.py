"""A process apart from its program: what it imports, which signals it takes, and how it ends; real scripts."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from runner.isolated import IsolatedProcess, is_of_script

UNGUARDED = """
import sys
import runner

print("begun", flush=True)
keys = [f"data.root={sys.argv[1]}", "loader.workers=2", "loader.use_multiprocessing=true", "data.limit=64"]
with runner.build_loader(runner.compose(keys)) as loader:
    print(len(list(loader.epoch(0))))
"""

OWN_SOURCE = """
import numpy as np
import runner

class Mine:
    def __len__(self):
        return 8

    def read(self, index):
        return np.full((4, 4, 1), index, np.uint8)

GUARD
    keys = ["data=custom", "data.target=__main__.Mine", "data.class_mode=null",
            "data.validation_split=0", "loader.batch_size=4", "loader.workers=1", "loader.use_multiprocessing=true"]
    with runner.build_loader(runner.compose(keys)) as loader:
        print(sorted(int(x[0, 0, 0]) for batch in loader.epoch(0) for x in batch.x))
"""


def ended(script, folder, *arguments):
    """A Python program that has ended: its exit code, what it printed, and its errors."""
    (folder / "script.py").write_text(script)
    command = [sys.executable, folder / "script.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_script_without_guard_runs_once(digits_root, tmp_path):
    assert ended(UNGUARDED, tmp_path, digits_root) == (0, "begun\n2\n", "")


def test_source_in_a_script_reaches_workers(tmp_path):
    guarded = OWN_SOURCE.replace("GUARD", 'if __name__ == "__main__":')
    assert ended(guarded, tmp_path) == (0, "[0, 1, 2, 3, 4, 5, 6, 7]\n", "")


def test_source_in_an_unguarded_script_says_so(tmp_path):
    code, printed, errors = ended(OWN_SOURCE.replace("GUARD", "if True:"), tmp_path)
    assert (code, printed) == (1, "")
    assert errors.endswith('so each imports it: call the runner below if __name__ == "__main__":\n')


class OfThisModule:
    pass


def test_only_names_of_the_script_need_it(monkeypatch):
    assert not is_of_script((OfThisModule(), np.zeros(1 << 21, np.uint8), "main"))
    monkeypatch.setattr(OfThisModule, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "OfThisModule", OfThisModule, raising=False)
    assert is_of_script([OfThisModule()])


def wait_for_long():
    time.sleep(60)


def start_program():
    subprocess.run(["sleep", "60"], check=False)


@pytest.fixture
def started():
    """Starts a process that does what a function says; it ends with the test."""
    processes = []

    def start(target):
        processes.append(IsolatedProcess(target=target))
        processes[-1].start()
        return psutil.Process(processes[-1].pid)

    yield start
    for process in processes:
        process.terminate()
        process.join()
        assert process.exitcode == -signal.SIGKILL


def test_signals_of_the_group_do_not_end_it(started):
    names = vars(sys.modules["__main__"]).copy()
    process = started(wait_for_long)
    for number in (signal.SIGINT, signal.SIGTERM) * 20:  # from its first moment on
        os.kill(process.pid, number)
        time.sleep(0.02)
    assert process.status() != psutil.STATUS_ZOMBIE
    assert vars(sys.modules["__main__"]) == names
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_its_programs_take_signals(started):
    process = started(start_program)
    until = time.monotonic() + 30
    while not (programs := process.children()) and time.monotonic() < until:
        time.sleep(0.02)
    programs[0].terminate()
    psutil.wait_procs(programs, timeout=10)
    assert not programs[0].is_running()
