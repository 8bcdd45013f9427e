"""The child process that exports, as its parent sees it."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any, Self

from runner.errors import RunnerError, WorkerError

CLOSE_SECONDS = 10.0
"""How long the child may take to end."""

BEGUN = ".begun"
"""The folder of a model that is being written."""

log = logging.getLogger("runner.export")


class ExportProcess:
    """Calls the methods of an `ExportSession` in a process of its own, where Keras runs on TensorFlow and the CPU.

    Errors of the runner are raised here; what else the child writes goes to the log. Without the child's process there
    is no way to export from a process in which Keras runs on JAX.
    """

    def __init__(self) -> None:
        hidden = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "1"}
        self._written = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._child = subprocess.Popen(
            [sys.executable, "-m", "runner.exporter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._written,
            env={**os.environ, **hidden},
            start_new_session=True,  # Ctrl-C reaches the parent alone, which closes stdin
        )

    def call(self, name: str, *arguments: Any) -> Any:
        """The answer of the child. Raises `WorkerError` if it has died."""
        stdin, stdout = self._child.stdin, self._child.stdout
        try:
            if stdin is None or stdout is None:
                raise EOFError
            pickle.dump((name, arguments), stdin, protocol=pickle.HIGHEST_PROTOCOL)
            stdin.flush()
            answer = pickle.load(stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise WorkerError(f"the process that exports died during {name}: {self._last_line()}") from error
        if isinstance(answer, RunnerError):
            raise answer
        return answer

    def _last_line(self) -> str:
        code = self._child.wait()
        self._written.seek(0)
        lines = self._written.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(at_once=error is not None)

    def close(self, *, at_once: bool = False) -> None:
        """End the child, after what it does unless `at_once`, and write what it printed to the log."""
        if at_once:
            self._child.kill()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        try:
            self._child.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._written.seek(0)
        for line in self._written.read().decode(errors="replace").splitlines():
            log.info("%s", line)
        self._written.close()
