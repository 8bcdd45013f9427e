"""What it took to prepare samples, as whoever prepared them measured it.

The first steps of an epoch, span by span: who prepared which samples when, and when the model waited.

Where the time goes: how long the model waited for batches, and what those who read them did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_native_id
from time import perf_counter_ns
from typing import NamedTuple

from runner.records.trace import MODEL, PREPARE, TRAIN, WAIT, Lane, Span

STAGES = ("read", "decode", "change", "assemble")
"""What is done to samples: their bytes read (or taken from a cache), decoded, changed, put together to a batch."""

TRANSFER = "transfer"
"""What is done to a batch beside these where the feed itself brings it to the device; told only there."""


class Work(NamedTuple):
    """What one thread did to some samples from `begin` to `end`, and how much of it was what; all in nanoseconds.

    The clock is one for all processes of a machine; `thread` is the system's number, which no two of them share.
    """

    thread: int
    begin: int
    end: int
    num_samples: int
    read: int = 0
    decode: int = 0
    change: int = 0
    assemble: int = 0
    transfer: int = 0

    def by_stage(self) -> dict[str, int]:
        """The nanoseconds of every stage."""
        stages = {"read": self.read, "decode": self.decode, "change": self.change, "assemble": self.assemble}
        return {**stages, TRANSFER: self.transfer} if self.transfer else stages


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


@dataclass(frozen=True)
class Wait:
    """How long a model waited while it trained for `training_seconds`, both without the first step, which compiles it.

    What it waited for its first batch stands apart. `reasons` are the seconds of work by stage; workers are at work
    beside the model and each other, so these may be many more than the model waited.
    """

    seconds: float
    first_batch_seconds: float
    training_seconds: float
    reasons: Mapping[str, float]

    @property
    def share(self) -> float:
        """Of the training after its first step, what was waiting: 0 to 1."""
        return self.seconds / self.training_seconds if self.training_seconds else 0.0

    def document(self) -> dict[str, object]:
        """As run.json has it."""
        return {
            "share": round(self.share, 4),
            "seconds": round(self.seconds, 4),
            "first_batch_seconds": round(self.first_batch_seconds, 4),
            "reasons": {stage: round(seconds, 4) for stage, seconds in self.reasons.items()},
        }


class Clock:
    """The times of one loader. Workers measure their own and hand them over with the samples.

    So the thread that takes the batches is the only one that notes anything, and nothing is locked.
    """

    def __init__(self) -> None:
        self.timeline = Timeline()
        self._waited = 0
        self._first_wait: int | None = None
        self._stages = dict.fromkeys(STAGES, 0)
        self._is_waiting = False

    @property
    def waited_seconds(self) -> float:
        """How long batches were waited for, all in all."""
        return self._waited / 1e9

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for a batch; so does one that fails. Within another one, it is a part of that wait."""
        if self._is_waiting:
            yield
            return
        begin, self._is_waiting = perf_counter_ns(), True
        try:
            yield
        finally:
            self._is_waiting = False
            end = perf_counter_ns()
            self._waited += end - begin
            if self._first_wait is None:
                self._first_wait = end - begin
            self.timeline.wait(begin, end)

    @contextmanager
    def working(self, stage: str, num_samples: int) -> Iterator[None]:
        """The block is work of one stage, done by the caller itself."""
        begin = perf_counter_ns()
        yield
        end = perf_counter_ns()
        self.note(Work(get_native_id(), begin, end, num_samples, **{stage: end - begin}))

    def note(self, work: Work) -> None:
        """Add what a worker, or the caller, has done."""
        for stage, spent in work.by_stage().items():
            self._stages[stage] = self._stages.get(stage, 0) + spent
        self.timeline.work(work)

    def wait(self, seconds: float, training_seconds: float) -> Wait:
        """What was waited for so long, of a training that took so long, and what was done so far."""
        reasons = {stage: spent / 1e9 for stage, spent in self._stages.items()}
        return Wait(seconds, (self._first_wait or 0) / 1e9, training_seconds, reasons)
