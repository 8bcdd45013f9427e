"""Processes that need not import anything again: copies of the tests' own, or of one that only imports."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import traceback
import warnings

IMPORTED = ["runner.loaders.processes", "runner.data.directory", "runner.modes.pack", "cv2", "pytest", "hypothesis"]
"""What takes workers, and functions of tests that run in a process, longest to import."""


def forking():
    """A context of `multiprocessing` like "spawn", whose processes are copies of one that has imported those."""
    multiprocessing.set_forkserver_preload(IMPORTED)
    return multiprocessing.get_context("forkserver")


class ForkedProcess:
    """What a sweep uses of `subprocess.Popen`, of a command `python script.py …`.

    A job of a test takes 0.3 s to import what it needs, and 0.02 s to do it.
    """

    returncode = None

    def __init__(self, command, *, stdin, stdout, stderr, env, process_group):
        assert (command[0], stdin, stderr, process_group) == (sys.executable, subprocess.PIPE, subprocess.STDOUT, 0)
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            # Threads of TensorFlow or JAX may run, which both warn of; no script uses either.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os._exit(run(command[1:], reader, stdout.fileno(), env))
        os.close(reader)
        self.stdin = os.fdopen(writer, "wb")

    def wait(self):
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def run(arguments, stdin, output, env):
    """Run a script as a process of its own would; returns its exit code."""
    try:
        os.setpgid(0, 0)
        for number, own in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(number, own)
        os.closerange(3, 4096)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = arguments
        sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - until the process ends
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stdout.write(f"{end.code}\n")
            return 1
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
