"""Every error the runner raises on purpose.

    RunnerError                 exit code 1
    ├── ConfigurationError      exit code 2   the configuration cannot work; no run folder
    ├── DataError               exit code 4   the data was refused after it was read
    │   ├── BadSampleError                    one sample, named by its path or id
    │   │   └── UserReadError                 the user's own code failed at it
    │   └── StorageError                      all samples at once: their storage is gone
    ├── TrainingError           exit code 1   training cannot continue
    ├── JobError                exit code 1   a job of a sweep did not complete
    ├── VerifyError             exit code 3   a rerun, or an exported model, differs
    ├── WorkerError             exit code 1   a worker died or stalled
    └── LostRankError           exit code 76  another process of a group has ended first, which is the cause

    KeyboardInterrupt           exit code 130 Ctrl-C
    └── Terminated              exit code 143 SIGTERM

Each message says what was given, what is expected and how to fix it. `__main__` prints only the message and ends with
`exit_code`. Any other exception is a bug, or an error of the user's own code, and keeps its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

NO_SUCH_FILE = "no such file"
_OBJECT = re.compile(r"\s*<_io\.[^>]*>")


def reason(error: Exception) -> str:
    """The reason of an error of another package, without Python objects and error numbers."""
    if isinstance(error, FileNotFoundError):
        return NO_SUCH_FILE
    text = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
    # Pillow names its buffer object instead of the file. Messages name the path before the reason.
    return _OBJECT.sub("", text) or type(error).__name__


class RunnerError(Exception):
    """An error with a message a person can act on."""

    exit_code = 1


class ConfigurationError(RunnerError):
    """All problems of a configuration at once.

    `problems` holds one line per problem: ``key must …, got …; how to fix it``.
    """

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class DataError(RunnerError):
    """The data cannot be used with this configuration."""

    exit_code = 4


class BadSampleError(DataError):
    """A sample that cannot be read; `name` is its path, or its id if it has no file."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name}: {reason}")

    def __reduce__(self) -> tuple[type[BadSampleError], tuple[str, str]]:
        return type(self), (self.name, self.reason)


class UserReadError(BadSampleError):
    """A sample at which the user's own code failed, with an error that does not point to the sample."""


class StorageError(DataError):
    """The storage of the samples is gone: none of them can be read any more."""


class TrainingError(RunnerError):
    """Training cannot continue: its loss, or a weight of its model, is not a finite number."""


class JobError(RunnerError):
    """A job of a sweep did not complete; passed to a sweeper of Hydra's."""


class VerifyError(RunnerError):
    """A rerun differs from the run it repeats, or an exported model from the model."""

    exit_code = 3


class WorkerError(RunnerError):
    """A worker thread or process died, or did not answer within `loader.timeout_seconds`."""


class LostRankError(RunnerError):
    """Another process of a group has ended; whoever started them says why, and may start them again.

    `kind` is the name of the class of the error that ended it, empty if it was killed.
    """

    exit_code = 76

    def __init__(self, message: str, kind: str = "") -> None:
        self.kind = kind
        super().__init__(message)


def kind_of_error(error: BaseException) -> str:
    """The name of the class of an error; of one that ended another process of the group, if that ended this one."""
    return (error.kind if isinstance(error, LostRankError) else "") or type(error).__name__


class Terminated(KeyboardInterrupt):
    """SIGTERM, for example from a scheduler; ends a run as Ctrl-C does."""

    exit_code = 143
