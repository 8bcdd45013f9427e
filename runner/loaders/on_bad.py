"""`data.on_bad`: what is done about a sample that cannot be read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from runner.data.dataset import OnBadChoice
from runner.errors import BadSampleError, UserReadError
from runner.loaders.permutation import Permutation
from runner.seeds import Purpose, derive

MOST_DRAWS = 100
"""Samples tried in the place of a bad one; where none of so many can be read, it is not the samples that are bad."""

OF_THE_MACHINE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors of the system while it opens a file that tell nothing of the file."""


@dataclass(frozen=True)
class OnBad:
    """What is done about a bad sample: a pure function of the seed and its index, so that all strategies do the same.

    Unless it `may_be_empty`, a batch of which nothing is left ends the run: there would be nothing to train on.
    """

    choice: OnBadChoice = "raise"
    seed: int = 0
    may_be_empty: bool = True

    def passes_over(self, error: BadSampleError) -> bool:
        """Whether the run goes on: the sample is to blame, and neither the user's code nor the machine."""
        blameless = isinstance(error, UserReadError) or getattr(error.__cause__, "errno", None) in OF_THE_MACHINE
        return self.choice != "raise" and not blameless

    def candidates(self, index: int, num_samples: int) -> Iterator[int]:
        """Sample `index`, then those to try in its place, one after the other; none of them twice."""
        yield index
        if self.choice == "substitute":
            order = Permutation.seeded(num_samples, derive(self.seed, Purpose.SUBSTITUTE, index))
            drawn = order(np.arange(min(num_samples, MOST_DRAWS + 1))).tolist()
            yield from islice((other for other in drawn if other != index), MOST_DRAWS)

    def leaving_out(self) -> OnBad:
        """The same, without others in the place of what is bad: for samples that are read to be held."""
        return self if self.choice == "raise" else OnBad("skip")


RAISE = OnBad()
"""A bad sample ends the run."""
