"""How a command ends: its exit code, and what is told on stderr when something is wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from runner.errors import ConfigurationError, RunnerError

INTERRUPTED = 130


def guarded(action: Callable[[], int], what: str = "the configuration") -> int:
    """The exit code of an action, or of the exception it ended with, which is told on stderr.

    Several problems at once are counted as problems in `what`.
    """
    try:
        return action()
    except ConfigurationError as error:
        many = len(error.problems) > 1
        complain(f"{len(error.problems)} problems in {what}" if many else error.problems[0],
                 *(error.problems if many else ()))  # fmt: skip
        return error.exit_code
    except RunnerError as error:
        complain(*str(error).splitlines())
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        complain("interrupted")
        return getattr(interrupt, "exit_code", INTERRUPTED)
    except Exception:
        traceback.print_exc()
        return 1


def complain(first: str, *others: str) -> None:
    """Say on stderr what is wrong."""
    sys.stdout.flush()
    sys.stderr.write("\n  ".join((f"error: {first}", *others)) + "\n")
