"""How long each thread has decoded images: what is left of reading them went into getting their bytes."""

from __future__ import annotations

import threading
from time import perf_counter_ns


class _Decoding(threading.local):
    """A stopwatch of the thread that asks; it runs inside a `with` block, which holds no other."""

    nanoseconds = 0
    _began = 0

    def __enter__(self) -> None:
        self._began = perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self.nanoseconds += perf_counter_ns() - self._began


decoding = _Decoding()
