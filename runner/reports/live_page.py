"""A page that is drawn again and again while its run or sweep goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

PAGE_SECONDS = 5.0
"""The least time from one drawing to the next."""

MOST_SHARE = 0.01
"""The most of one core that drawing may take: a page that takes long is drawn less often."""


class LivePage:
    """Calls `draw` every `PAGE_SECONDS` or less often, in a thread of its own, until `close`.

    A page that cannot be drawn fails nothing. `close` waits for one that is being drawn, so that the caller can write
    the last one.
    """

    def __init__(self, draw: Callable[[], object]) -> None:
        self._draw, self._ended = draw, threading.Event()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        pause, is_first = PAGE_SECONDS, True
        while not self._ended.wait(pause):
            before = time.thread_time()
            with suppress(Exception):
                self._draw()
            if not is_first:  # the first drawing reads the templates
                pause = max(PAGE_SECONDS, (time.thread_time() - before) / MOST_SHARE)
            is_first = False
