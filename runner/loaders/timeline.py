"""The first steps of an epoch, span by span: who prepared which samples when, and when the model waited."""

from __future__ import annotations

from collections.abc import Iterator
from threading import get_native_id
from time import perf_counter_ns

from runner.loaders.timing import Work
from runner.records.trace import MODEL, PREPARE, TRAIN, WAIT, Lane, Span

STEPS = 40
"""Steps that are shown."""

MOST_WORKS = 4000
"""Pieces of work that are kept, about a megabyte; where they do not last for all these steps, fewer are shown."""


class Timeline:
    """Keeps what happens from `begin` on until the steps to show are over.

    Workers are ahead of the model, and what they did is told when the model takes it: so work is noted for as long as
    some of it may have been done within these steps.
    """

    def __init__(self) -> None:
        self._waits: list[tuple[int, int]] = []
        self._works: list[Work] = []
        self._num_taken = self._caller = self._until = 0
        self._open = False

    def begin(self) -> None:
        """An epoch begins: forget the one before."""
        self._waits, self._works, self._num_taken, self._until, self._open = [], [], 0, 0, True

    def end(self) -> None:
        """The epoch's training is over, if it was not before."""
        if self._open:
            self._close(perf_counter_ns())

    def work(self, work: Work) -> None:
        """Samples were prepared."""
        if self._open and len(self._works) < MOST_WORKS:
            self._works.append(work)

    def wait(self, begin: int, end: int) -> None:
        """The model waited for a batch; the work on it was noted before."""
        if not self._open:
            return
        self._waits.append((begin, end))
        self._caller = get_native_id()
        known = self._all_known_until()
        if len(self._works) == MOST_WORKS:
            self._close(known)
        elif len(self._waits) > STEPS and known >= self._waits[STEPS][0]:
            self._close(self._waits[STEPS][0])

    def lanes(self) -> list[Lane]:
        """A lane for the thread of the model, and one for each worker, in the order of their first work."""
        by_thread: dict[int, list[Span]] = {self._caller: list(self._steps())}
        for work in sorted(self._works, key=lambda work: work.begin):
            if work.begin < self._until:
                by_thread.setdefault(work.thread, []).append(_prepared(work))
        model = Lane(MODEL, by_thread.pop(self._caller))
        workers = [Lane(f"worker {number}", spans) for number, spans in enumerate(by_thread.values(), 1)]
        return [model, *workers] if model.spans else []

    def _close(self, until: int) -> None:
        self._until, self._open = until, False

    def _all_known_until(self) -> int:
        """Workers begin what they are given in its order: nothing unknown was begun before the last that is known."""
        begun = [work.begin for work in self._works[self._num_taken :] if work.thread != self._caller]
        self._num_taken = len(self._works)
        return max(begun, default=self._waits[-1][1])

    def _steps(self) -> Iterator[Span]:
        """Waiting and training in turn."""
        nexts = [*(begin for begin, _ in self._waits[1:]), self._until]
        for step, ((begin, end), over) in enumerate(zip(self._waits, nexts, strict=False), 1):
            for name, since, to in ((WAIT, begin, end), (TRAIN, end, over)):
                if since < (to := min(to, self._until)):
                    yield Span(name, since, to, {"step": step})


def _prepared(work: Work) -> Span:
    details = {f"{stage}_ms": spent / 1e6 for stage, spent in work.by_stage().items() if spent}
    return Span(PREPARE, work.begin, work.end, {"samples": work.num_samples, **details})
