"""A source around another one, which has the same samples under the same index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.batch import ArraySpec
from runner.data.labels import Labels
from runner.data.source import Source


@dataclass(frozen=True)
class Wrapping:
    """All that is known of the samples of `source` without reading them; how they are read a subclass says."""

    source: Source

    @property
    def ids(self) -> Sequence[str]:
        """The source's own."""
        return self.source.ids

    @property
    def labels(self) -> Labels:
        """The source's own."""
        return self.source.labels

    @property
    def spec(self) -> ArraySpec:
        """The source's own."""
        return self.source.spec

    def __len__(self) -> int:
        return len(self.source)
