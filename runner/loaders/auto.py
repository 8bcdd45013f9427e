"""`loader=auto`: the loader that fits the data and the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from runner.components import Count
from runner.loaders.in_memory import InMemory
from runner.loaders.memory import format_bytes
from runner.loaders.sequence import Sequence
from runner.loaders.settings import LoaderKeys, LoaderSettings

SHARE = 0.5
"""Of the free memory, what the samples may take at most: the model needs some as well, and others may come."""


@dataclass(frozen=True)
class Choice:
    """The loader that reads, and in one sentence why; no reason where it was named."""

    settings: LoaderSettings
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """The settings that have an effect, as run.json has them; where `auto` chose, also that it did, and why."""
        chosen = self.settings.normalised().document()
        return chosen if self.reason is None else {**chosen, "asked": "auto", "reason": self.reason}


class Auto(LoaderKeys):
    """in_memory if all samples fit into half of the free memory, else sequence; a thread for each processor."""

    kind: Literal["auto"] = "auto"

    workers: Count | None = None
    """Threads or processes that read samples; null: as many as there are processors for this process."""

    def candidate(self) -> InMemory:
        """What is chosen if it fits."""
        return InMemory(**self._keys())

    def choose(self, needed: int, available: int) -> Choice:
        """The loader for samples that take `needed` bytes if they are held, and the reason."""
        fits = needed <= SHARE * available
        settings = self.candidate() if fits else Sequence(**self._keys())
        reason = (
            f"all samples together need {format_bytes(needed)}, {'at most' if fits else 'more than'} half of the "
            f"{format_bytes(available)} of memory that are free"
        )
        if self.workers is None:
            reason += f"; {_plural(settings.workers, 'worker')} for as many processors"
        return Choice(settings, reason)

    def _keys(self) -> dict[str, Any]:
        keys = {name: getattr(self, name) for name in LoaderKeys.model_fields}
        return {**keys, "workers": num_processors() if self.workers is None else self.workers}


def num_processors() -> int:
    """How many processors this process may use: its affinity and the quota of its control group count."""
    import joblib

    count: int = joblib.cpu_count()
    return count


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
