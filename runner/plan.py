"""Which samples stand in which batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runner.samples import Indices


@dataclass(frozen=True)
class Plan:
    """Batch `step` of pass `epoch`: a pure function of these five fields and (epoch, step)."""

    num_samples: int
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    drop_remainder: bool = False

    @property
    def num_steps(self) -> int:
        """Batches in one pass."""
        raise NotImplementedError

    def batch(self, epoch: int, step: int) -> Indices:
        """The samples of one batch."""
        raise NotImplementedError
