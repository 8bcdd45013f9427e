"""The base of every data component, and what it opens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt

from runner.components import Component, Fraction
from runner.labels import Head
from runner.samples import ArraySpec
from runner.sources.source import Source

Scale = Literal["auto", "none", "unit", "signed"]


@dataclass(frozen=True)
class Dataset:
    """What a data component opens: one source per split, all of one shape and with one vocabulary.

    `splits` holds only splits with samples, in the order train, validation, test.
    """

    splits: Mapping[str, Source]
    heads: tuple[Head, ...]
    spec: ArraySpec


class Data(Component):
    """The keys every data component has."""

    validation_split: Fraction = 0.1
    """Share of the samples held out for validation where the data brings no validation split of its own."""

    test_split: Fraction = 0.1
    """Share of the samples held out for the test where the data brings no test split of its own."""

    split_seed: NonNegativeInt = 0
    """Which samples the held-out shares consist of; independent of `seed`."""

    scale: Scale = "auto"
    """Scaling inside the model: `unit` x/255, `signed` 2(x/255 - 0.5), `auto` unit for 8-bit images, else none."""

    @abstractmethod
    def open(self) -> Dataset:
        """List the samples and tell them apart into splits; reads at most one sample.

        Raises `DataError` if there is nothing to train on.
        """

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The keys whose paths do not exist, with those paths."""
        return iter(())
