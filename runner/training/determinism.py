"""Operations that cannot give the same bits every time, and refuse to run where they must."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from runner.errors import RunnerError, TrainingError

REFUSAL = re.compile(r"[^\n]*\bdeterminis(?:m|tic)[^\n]*", re.IGNORECASE)


@contextlib.contextmanager
def naming_refusals(*, deterministic: bool) -> Iterator[None]:
    """Raise `TrainingError` with what the framework says of the operation it refused, and how to go on.

    TensorFlow and PyTorch refuse when the operation is run, not when the model is built. An error of the runner's own
    stays what it is.
    """
    try:
        yield
    except RunnerError:
        raise
    except Exception as error:
        refusal = REFUSAL.search(str(error))
        if refusal is None or not deterministic:
            raise
        raise TrainingError(
            f"deterministic=true refuses an operation of the model: {refusal[0].strip()}; use another operation, or "
            "set deterministic=false"
        ) from error
