"""Where the time goes while a loader feeds a model.

Threads and processes that prepare samples measure their own work as a `WorkSpan`. The `Clock` of a loader adds these up
by stage, next to the time that the model waited. Its `Timeline` keeps the first steps of an epoch, span by span.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_native_id
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from runner.records.trace import MODEL, PREPARE, TRAIN, WAIT, Lane, Span

if TYPE_CHECKING:
    from runner.isolated import IsolatedProcess

STAGES = ("fetch", "decode", "augment", "assemble")
"""Stages of preparing samples: fetch bytes (or copy from a cache), decode, augment and transform, build the batch."""

TRANSFER = "transfer"
"""The stage of copying a batch to the device; only where the feed does it itself."""


class WorkSpan(NamedTuple):
    """Work of one thread on some samples, from `begin` to `end`, and the part of each stage; all in nanoseconds.

    All processes of a machine share the clock. `thread` is the system's thread number, unique among them.
    """

    thread: int
    begin: int
    end: int
    num_samples: int
    fetch: int = 0
    decode: int = 0
    augment: int = 0
    assemble: int = 0
    transfer: int = 0

    def by_stage(self) -> dict[str, int]:
        """The nanoseconds of every stage."""
        stages = {"fetch": self.fetch, "decode": self.decode, "augment": self.augment, "assemble": self.assemble}
        return {**stages, TRANSFER: self.transfer} if self.transfer else stages


class Clock:
    """Waiting and work of one loader, in total and on a timeline.

    Workers return their spans with the samples. Only the thread that takes the batches adds them, so no lock is needed.
    """

    def __init__(self) -> None:
        self.timeline = Timeline()
        self._waited = 0
        self._first_wait: int | None = None
        self._stages = dict.fromkeys(STAGES, 0)
        self._waits_since: int | None = None
        self.processes: Sequence[IsolatedProcess] = ()
        """The worker processes of the loader so far."""

    @property
    def waited_seconds(self) -> float:
        """Total time that batches were waited for."""
        return self._waited / 1e9

    def waiting_seconds(self) -> float:
        """`waited_seconds` with the wait that is going on; for other threads, a moment inexact as a wait ends."""
        since = self._waits_since
        return (self._waited + (0 if since is None else perf_counter_ns() - since)) / 1e9

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block as waiting for a batch, even if it raises. A nested block belongs to the outer wait."""
        if self._waits_since is not None:
            yield
            return
        begin = self._waits_since = perf_counter_ns()
        try:
            yield
        finally:
            self._waits_since = None
            end = perf_counter_ns()
            self._waited += end - begin
            if self._first_wait is None:
                self._first_wait = end - begin
            self.timeline.add_wait(begin, end)

    @contextmanager
    def working(self, stage: str, num_samples: int) -> Iterator[None]:
        """Count the block as the caller's own work on one stage."""
        begin = perf_counter_ns()
        yield
        end = perf_counter_ns()
        self.add(WorkSpan(get_native_id(), begin, end, num_samples, **{stage: end - begin}))

    def add(self, span: WorkSpan) -> None:
        """Add work of a worker or of the caller."""
        for stage, spent in span.by_stage().items():
            self._stages[stage] = self._stages.get(stage, 0) + spent
        self.timeline.add_work(span)

    def wait(self, seconds: float, training_seconds: float, steps: int = 0) -> Wait:
        """The summary of a training that waited `seconds` of `training_seconds`, in `steps` after its first one."""
        reasons = {stage: spent / 1e9 for stage, spent in self._stages.items()}
        return Wait(seconds, (self._first_wait or 0) / 1e9, training_seconds, reasons, steps)


@dataclass(frozen=True)
class Wait:
    """How long a model waited while it trained for `training_seconds`, both without the first step, which compiles it.

    The wait for the first batch is separate. `reasons` are seconds of work by stage. Workers run in parallel to the
    model and to each other, so these may add up to much more than the wait.
    """

    seconds: float
    first_batch_seconds: float
    training_seconds: float
    reasons: Mapping[str, float]
    steps: int = 0
    """The number of steps in this time."""

    @property
    def share(self) -> float:
        """Share of the training after its first step that was waiting, from 0 to 1."""
        return self.seconds / self.training_seconds if self.training_seconds else 0.0

    def document(self) -> dict[str, object]:
        """`wait` in run.json; `step_seconds` is the mean time of a step without its wait."""
        step = {"step_seconds": round((self.training_seconds - self.seconds) / self.steps, 6)} if self.steps else {}
        return {
            "share": round(self.share, 4),
            "seconds": round(self.seconds, 4),
            **step,
            "first_batch_seconds": round(self.first_batch_seconds, 4),
            "reasons": {stage: round(seconds, 4) for stage, seconds in self.reasons.items()},
        }


STEPS = 40
"""Steps on the timeline."""

MOST_SPANS = 4000
"""Spans of work to keep, about a megabyte. If these steps have more, the timeline ends earlier."""


class Timeline:
    """Waits and work from `begin` on, for the first `STEPS` steps.

    Workers are ahead of the model, and their spans arrive only when the model takes the batch. So the timeline accepts
    work until none can have started within these steps.
    """

    def __init__(self) -> None:
        self._waits: list[tuple[int, int]] = []
        self._work: list[WorkSpan] = []
        self._num_known = self._caller = self._until = 0
        self._open = False

    def begin(self) -> None:
        """Start with a new epoch; forget the previous one."""
        self._waits, self._work, self._num_known, self._until, self._open = [], [], 0, 0, True

    def end(self) -> None:
        """End the last step, if the timeline is still open."""
        if self._open:
            self._close(perf_counter_ns())

    def add_work(self, span: WorkSpan) -> None:
        """Add work on samples."""
        if self._open and len(self._work) < MOST_SPANS:
            self._work.append(span)

    def add_wait(self, begin: int, end: int) -> None:
        """Add the model's wait for a batch, after the work on that batch."""
        if not self._open:
            return
        self._waits.append((begin, end))
        self._caller = get_native_id()
        known = self._all_known_until()
        if len(self._work) == MOST_SPANS:
            self._close(known)
        elif len(self._waits) > STEPS and known >= self._waits[STEPS][0]:
            self._close(self._waits[STEPS][0])

    def lanes(self) -> list[Lane]:
        """A lane for the model and one for each worker, in the order of their first work; empty without a step."""
        by_thread: dict[int, list[Span]] = {self._caller: list(self._steps())}
        for span in sorted(self._work, key=lambda span: span.begin):
            if span.begin < self._until:
                by_thread.setdefault(span.thread, []).append(_prepared(span))
        model = Lane(MODEL, by_thread.pop(self._caller))
        workers = [Lane(f"worker {number}", spans) for number, spans in enumerate(by_thread.values(), 1)]
        return [model, *workers] if model.spans else []

    def _close(self, until: int) -> None:
        self._until, self._open = until, False

    def _all_known_until(self) -> int:
        """Workers start batches in order: no span that is still to come began before the last known one."""
        begun = [span.begin for span in self._work[self._num_known :] if span.thread != self._caller]
        self._num_known = len(self._work)
        return max(begun, default=self._waits[-1][1])

    def _steps(self) -> Iterator[Span]:
        """Alternating spans of waiting and training."""
        next_begins = [*(begin for begin, _ in self._waits[1:]), self._until]
        for step, ((begin, end), next_begin) in enumerate(zip(self._waits, next_begins, strict=False), 1):
            for name, start, stop in ((WAIT, begin, end), (TRAIN, end, next_begin)):
                if start < (stop := min(stop, self._until)):
                    yield Span(name, start, stop, {"step": step})


def _prepared(work: WorkSpan) -> Span:
    milliseconds = {f"{stage}_ms": spent / 1e6 for stage, spent in work.by_stage().items() if spent}
    return Span(PREPARE, work.begin, work.end, {"samples": work.num_samples, **milliseconds})
