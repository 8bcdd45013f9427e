"""run.log: what the runner's loggers say during one run."""

from __future__ import annotations

import logging
import time
from pathlib import Path

LOGGER = "runner"
LINE = "%(asctime)s.%(msecs)03d+00:00 %(levelname)s %(name)s: %(message)s"


def open_log(folder: Path) -> logging.Handler:
    """Write what the loggers below ``runner`` say, from INFO up, to `folder`/run.log as well.

    Times are UTC, as in run.json. End with `close_log`.
    """
    handler = logging.FileHandler(folder / "run.log", encoding="utf-8", errors="backslashreplace")
    formatter = logging.Formatter(LINE, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(logging.INFO)
    logger = logging.getLogger(LOGGER)
    if logger.level == logging.NOTSET:
        # Else a program that never set up logging would keep everything below WARNING out.
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Detach the handler and close its file; doing so twice is fine."""
    logging.getLogger(LOGGER).removeHandler(handler)
    handler.close()
