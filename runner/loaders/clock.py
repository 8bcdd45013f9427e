"""Where the time goes: how long the model waited for batches, and what those who read them did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_native_id
from time import perf_counter_ns

from runner.loaders.timeline import Timeline
from runner.loaders.timing import STAGES, Work


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
