"""Every error the runner raises on purpose.

    RunnerError                 exit code 1
    ├── ConfigurationError      exit code 2   what was typed or written cannot work; no run folder
    ├── DataError               exit code 4   the data was refused after it was read
    │   └── BadSampleError                    one sample, named by its path or id
    │       └── UserReadError                 it is the user's own code that failed over it
    ├── TrainingError           exit code 1   the training cannot go on
    ├── JobError                exit code 1   a job of a sweep did not complete
    ├── VerifyError             exit code 3   a run did not come to the same as the one it repeats
    └── WorkerError             exit code 1   a worker died or stalled

    KeyboardInterrupt           exit code 130 Ctrl-C
    └── Terminated              exit code 143 SIGTERM

Each message says what was given, what is expected and how to mend it. `__main__` prints the message alone and
ends with `exit_code`; anything that is not a `RunnerError` is a bug, or an error of the user's own code, and keeps
its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class RunnerError(Exception):
    """An error with a message a person can act on."""

    exit_code = 1


class ConfigurationError(RunnerError):
    """Everything wrong with a configuration, all at once.

    `problems` holds one line per problem: ``key must …, got …; how to mend it``.
    """

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class DataError(RunnerError):
    """The data cannot be used as the configuration asks."""

    exit_code = 4


class BadSampleError(DataError):
    """A sample that cannot be read; `name` is its path, or its id where there is no file."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name}: {reason}")

    def __reduce__(self) -> tuple[type[BadSampleError], tuple[str, str]]:
        return type(self), (self.name, self.reason)


class UserReadError(BadSampleError):
    """A sample over which the user's own code failed in a way that says nothing of the sample."""


class TrainingError(RunnerError):
    """The training cannot go on: its loss is no number any more."""


class JobError(RunnerError):
    """A job of a sweep that did not complete, as a sweeper of Hydra's is told of it."""


class VerifyError(RunnerError):
    """A rerun did not come to the same as the run it repeats."""

    exit_code = 3


class WorkerError(RunnerError):
    """A worker thread or process died, or gave no answer in `loader.timeout_seconds`."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: what ends a run the way Ctrl-C does, by a scheduler's hand."""

    exit_code = 143
