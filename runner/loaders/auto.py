"""`loader=auto`: the loader that fits the data and the machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from runner.component import Count
from runner.loaders.kinds import InMemory, Sequence
from runner.loaders.settings import LoaderKeys, LoaderSettings
from runner.messages import format_bytes

SHARE = 0.5
"""Largest share of the free memory for the samples: the model and other programs need some as well."""


@dataclass(frozen=True)
class Choice:
    """The loader to use, and why; no reason if the user named it."""

    settings: LoaderSettings
    reason: str | None = None

    def with_reason(self, reason: str) -> Choice:
        """The same choice with one more reason."""
        return replace(self, reason=f"{self.reason}; {reason}")

    def document(self) -> dict[str, Any]:
        """`loader` in run.json: the settings that have an effect; if `auto` chose, that it did, and why."""
        chosen = self.settings.normalised().document()
        return chosen if self.reason is None else {**chosen, "asked": "auto", "reason": self.reason}


class Auto(LoaderKeys):
    """in_memory if all samples fit into half of the free memory, else sequence; workers measured on the data."""

    kind: Literal["auto"] = "auto"

    workers: Count | None = None
    """Threads or processes that read samples; null: one per processor, or one if more read no faster."""

    use_multiprocessing: bool | None = None
    """Whether the workers are processes; null: only where they read faster than threads."""

    def candidate(self) -> InMemory:
        """The first choice, if all samples fit."""
        return InMemory(**self._keys())

    def choose(self, needed: int, available: int) -> Choice:
        """The loader for samples that take `needed` bytes of `available` memory, with the reason."""
        fits = needed <= SHARE * available
        settings = self.candidate() if fits else Sequence(**self._keys())
        return Choice(
            settings,
            f"all samples need {format_bytes(needed)}, {'at most' if fits else 'more than'} half of the "
            f"{format_bytes(available)} of free memory",
        )

    def _keys(self) -> dict[str, Any]:
        keys = {name: getattr(self, name) for name in LoaderKeys.model_fields}
        workers = num_processors() if self.workers is None else self.workers
        return {**keys, "workers": workers, "use_multiprocessing": bool(self.use_multiprocessing)}


def num_processors() -> int:
    """Number of processors this process may use, by its affinity and the quota of its control group."""
    import joblib

    count: int = joblib.cpu_count()
    return count
