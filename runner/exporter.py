"""The child of `mode=export`, `python -m runner.exporter`: pickled orders on stdin, answers on stdout."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, BinaryIO

from runner.errors import RunnerError
from runner.exit import leave

STDIN, STDOUT, STDERR = 0, 1, 2


def main() -> int:
    """Answer orders until stdin ends, as it does when the parent is gone; the exit code."""
    with os.fdopen(os.dup(STDOUT), "wb") as answers:
        os.dup2(STDERR, STDOUT)  # converters print
        _answer_all(sys.stdin.buffer, answers)
    leave(0)
    return 0


def _answer_all(orders: BinaryIO, answers: BinaryIO) -> None:
    from runner.training.backend import start_backend

    session: Any = None
    while True:
        try:
            name, arguments = pickle.load(orders)
        except EOFError:
            return
        try:
            if name == "load":
                start_backend("tensorflow", seed=0, deterministic=False, user_code=False)
                from runner.exports.session import ExportSession

                session = ExportSession(*arguments)
                answer = session.facts
            else:
                answer = getattr(session, name)(*arguments)
        except RunnerError as error:
            answer = error
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    sys.exit(main())
