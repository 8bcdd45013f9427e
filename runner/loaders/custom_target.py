"""The target of `loader=custom`: calls the user's class or function for a split, and opens its batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import Any

from runner.errors import ConfigurationError, DataError, RunnerError
from runner.loaders.custom_batches import BatchOrigin
from runner.loaders.custom_passes import Indexed, Passes, Repeated
from runner.loaders.settings import LoaderSettings
from runner.loaders.user_batch import UserBatch, user_batch
from runner.user_code import call, error_text, kind_of
from runner.watchdog import watched


@dataclass(frozen=True)
class OpenedSplit:
    """The batches of a split: their passes, the first batch, and the rest of the first pass."""

    passes: Passes
    first: UserBatch
    rest: Iterator[Any]


@dataclass(frozen=True)
class BatchTarget:
    """The user's class or function, with its arguments for one split.

    `num_steps` is the number of batches per pass, if the result has no length.
    """

    name: str
    split: str
    arguments: Mapping[str, Any]
    num_steps: int | None

    def open(self, settings: LoaderSettings) -> OpenedSplit:
        """Call it and read its first batch; a Sequence is read with the workers of `settings`.

        Raises `ConfigurationError` if it fails or has no batches, `DataError` if the first batch cannot be used.
        """
        passes = self._passes(settings)
        if passes.num_steps < 1:
            raise DataError(
                f"{self.name} must give batches for {self.split}, got a length of {passes.num_steps}; does the "
                "split have fewer samples than a batch?"
            )
        origin = BatchOrigin(self.name, self.split)
        with watched(lambda: origin.name_of(0, 0)), origin.naming_batch(0, 0):
            rest = passes.from_step(0)
            return OpenedSplit(passes, user_batch(next(rest)), rest)

    @property
    def _steps_key(self) -> str:
        return f"loader.{self.split}_steps"

    def _passes(self, settings: LoaderSettings) -> Passes:
        given = self._call()
        if hasattr(given, "__getitem__"):
            return self._indexed(given, settings)
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
        # Training continues where the last pass ended.
        return Repeated(begin, self._steps(given), continues=self.split == "train", steps_key=self._steps_key)

    def _call(self) -> Any:
        try:
            return call(self.name, "loader", self.arguments)
        except RunnerError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"loader.target={self.name} failed for {self.split}: {error_text(error, self.name)}; correct it there, "
                f"or its arguments in loader.{self.split}_arguments"
            ) from error

    def _indexed(self, given: Any, settings: LoaderSettings) -> Indexed:
        length = self._length(given)
        if length is None:
            continues = self.split == "train"
            return Indexed(given, settings, self._steps(given), continues=continues)
        if self.num_steps is not None:
            raise ConfigurationError(
                f"{self._steps_key} must be null, because {self.name} has a length; for shorter epochs set "
                "train.steps_per_epoch"
            )
        return Indexed(given, settings, length)

    def _length(self, given: Any) -> int | None:
        """The number of batches: `__len__`, a float if it is whole, or Keras's `num_batches`; None: without an end."""
        try:
            length = given.__len__() if hasattr(given, "__len__") else given.num_batches
        except (AttributeError, NotImplementedError) as error:
            raise ConfigurationError(
                f"loader.target must have __len__, the number of batches per pass; {self.name} has none"
            ) from error
        except Exception as error:
            raise ConfigurationError(f"{self.name} has no length: {error_text(error, self.name)}") from error
        if length is None:
            return None
        if not isinstance(length, Real) or not float(length).is_integer():
            raise ConfigurationError(
                f"__len__ of {self.name} must be the number of batches, a whole number, got {length!r}; round it up "
                "with math.ceil"
            )
        return int(float(length))

    def _steps(self, given: Any) -> int:
        if self.num_steps is not None:
            return self.num_steps
        try:
            return len(given)
        except Exception as error:
            raise ConfigurationError(
                f"{self._steps_key} is required, because {kind_of(given)} from {self.name} has no length; set "
                f"{self._steps_key}=NUMBER"
            ) from error
