"""The class or function of `loader=custom`: called for one split, and what it gives, by how that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from runner.errors import ConfigurationError, DataError, RunnerError
from runner.loaders.custom_batches import Given, Maker, arrays_of
from runner.loaders.custom_passes import Indexed, Passes, Repeated
from runner.loaders.settings import LoaderSettings
from runner.user_code import call, kind_of, told


@dataclass(frozen=True)
class Opened:
    """The batches of a split: how they are read, the first of them, and what follows it in the first pass."""

    passes: Passes
    first: Given
    rest: Iterator[Any]


@dataclass(frozen=True)
class Target:
    """A class or function of the user's own, with its arguments for one split.

    `num_steps` are the batches in a pass of what has no length.
    """

    name: str
    split: str
    arguments: Mapping[str, Any]
    num_steps: int | None

    def open(self, settings: LoaderSettings) -> Opened:
        """Call it and read its first batch; threads of a Sequence are as many as `settings` say.

        Raises `ConfigurationError` where it fails or gives no batches, `DataError` where the first cannot be used.
        """
        passes = self._passes(settings)
        if passes.num_steps < 1:
            raise DataError(
                f"{self.name} must give batches for {self.split}, got a length of {passes.num_steps}; fewer samples "
                "than one batch takes?"
            )
        with Maker(self.name, self.split).blamed(0, 0):
            rest = passes.from_step(0)
            return Opened(passes, arrays_of(next(rest)), rest)

    @property
    def _steps_key(self) -> str:
        return f"loader.{self.split}_steps"

    def _passes(self, settings: LoaderSettings) -> Passes:
        given = self._call()
        if hasattr(given, "__getitem__"):
            self._refuse_unfit_length(given)
            return Indexed(given, settings)
        if hasattr(given, "as_numpy_iterator"):  # tf.data
            begin = given.as_numpy_iterator
        elif isinstance(given, Iterator):
            begin = chain([given], iter(self._call, None)).__next__
        elif isinstance(given, Iterable):
            begin = given.__iter__
        else:
            raise ConfigurationError(
                "loader.target must be a Sequence or PyDataset class, a generator function, or a function that "
                f"returns a tf.data.Dataset, got {self.name}, which gives {kind_of(given)}"
            )
        # Training goes on where the last pass ended.
        return Repeated(begin, self._steps(given), goes_on=self.split == "train", steps_key=self._steps_key)

    def _call(self) -> Any:
        try:
            return call(self.name, "loader", self.arguments)
        except RunnerError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"loader.target={self.name} must take its arguments, and failed for {self.split}: "
                f"{told(error, self.name)}; correct it there, or loader.{self.split}_arguments"
            ) from error

    def _refuse_unfit_length(self, given: Any) -> None:
        if not hasattr(given, "__len__"):
            raise ConfigurationError(f"loader.target must have __len__, the batches in a pass, got {self.name} without")
        if self.num_steps is not None:
            raise ConfigurationError(
                f"{self._steps_key} must be null for {self.name}, which has a length; for shorter epochs set "
                "train.steps_per_epoch"
            )

    def _steps(self, given: Any) -> int:
        if self.num_steps is not None:
            return self.num_steps
        try:
            return len(given)
        except TypeError as error:
            raise ConfigurationError(
                f"{self._steps_key} must be given for what has no length, got {kind_of(given)} from {self.name}; "
                f"{self._steps_key}=NUMBER"
            ) from error
