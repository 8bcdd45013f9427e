"""`loader=auto`: the loader that fits the data and the machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from runner.component import Count
from runner.loaders.in_memory import InMemory
from runner.loaders.sequence import Sequence
from runner.loaders.settings import LoaderKeys, LoaderSettings
from runner.messages import format_bytes

SHARE = 0.5
"""Of the free memory, what the samples may take at most: the model needs some as well, and others may come."""


@dataclass(frozen=True)
class Choice:
    """The loader that reads, and in one sentence why; no reason where it was named."""

    settings: LoaderSettings
    reason: str | None = None

    def because(self, reason: str) -> Choice:
        """The same choice for one more reason."""
        return replace(self, reason=f"{self.reason}; {reason}")

    def document(self) -> dict[str, Any]:
        """The settings that have an effect, as run.json has them; where `auto` chose, also that it did, and why."""
        chosen = self.settings.normalised().document()
        return chosen if self.reason is None else {**chosen, "asked": "auto", "reason": self.reason}


class Auto(LoaderKeys):
    """in_memory if all samples fit into half of the free memory, else sequence; workers by a look at the data."""

    kind: Literal["auto"] = "auto"

    workers: Count | None = None
    """Threads or processes that read samples; null: one for each processor, or one if more read no faster."""

    use_multiprocessing: bool | None = None
    """Whether the workers are processes; null: only where they read faster than threads."""

    def candidate(self) -> InMemory:
        """What is chosen if it fits."""
        return InMemory(**self._keys())

    def choose(self, needed: int, available: int) -> Choice:
        """The loader for samples that take `needed` bytes if they are held, and the reason; threads unless asked."""
        fits = needed <= SHARE * available
        settings = self.candidate() if fits else Sequence(**self._keys())
        return Choice(
            settings,
            f"all samples together need {format_bytes(needed)}, {'at most' if fits else 'more than'} half of the "
            f"{format_bytes(available)} of memory that are free",
        )

    def _keys(self) -> dict[str, Any]:
        keys = {name: getattr(self, name) for name in LoaderKeys.model_fields}
        workers = num_processors() if self.workers is None else self.workers
        return {**keys, "workers": workers, "use_multiprocessing": bool(self.use_multiprocessing)}


def num_processors() -> int:
    """How many processors this process may use: its affinity and the quota of its control group count."""
    import joblib

    count: int = joblib.cpu_count()
    return count
