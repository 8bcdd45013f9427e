"""Source: where samples live. The base class of everything that loaders read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from runner.batch import Indices
from runner.data.labels import Labels
from runner.fields import SampleSpec, Values


class Source(ABC):
    """Samples by index. The same index always gives the same sample.

    A subclass defines `ids`, `labels`, `spec` and `read`. It defines `path` as well if each sample is a file, and
    `read_many` if it reads several samples faster together.

    Worker processes get a source by pickle: it holds tables and settings, never open files, and never imports Keras
    or TensorFlow.
    """

    if TYPE_CHECKING:  # a subclass may have fields, class attributes or properties; a property here would forbid fields

        @property
        @abstractmethod
        def ids(self) -> Sequence[str]:
            """Unique, stable names of the samples, by index."""

        @property
        @abstractmethod
        def labels(self) -> Labels:
            """Labels of the samples, by index."""

        @property
        @abstractmethod
        def spec(self) -> SampleSpec:
            """Shape and dtype of every sample; for samples of several arrays, of each by name."""

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def read(self, index: int, out: Values = None) -> Values:
        """Read sample `index` into `out`, or into a new array; both have `spec`'s shape and dtype.

        If `spec` is a `Layout`, both are `Fields` with an array for each of its names.

        Raises `BadSampleError` with the file's path if the sample cannot be read.
        """

    def read_many(self, indices: Indices, out: Values) -> None:
        """Read the samples at `indices` into the rows of `out`, shape `(len(indices), *spec.shape)`."""
        for row, index in enumerate(indices.tolist()):
            self.read(index, out[row])

    def read_hashed(self, index: int, out: Values) -> bytes | None:
        """Read sample `index` into `out`; return the XXH3-128 digest of its file, None if its bytes are not seen."""
        self.read(index, out)
        return None

    def path(self, index: int) -> Path | None:
        """The file of sample `index`; None if samples are not files."""
        return None

    @property
    def has_files(self) -> bool:
        """Whether each sample is a file."""
        return len(self) > 0 and self.path(0) is not None

    def files(self, index: int) -> tuple[Path, ...]:
        """All files of sample `index`, the one of `path` first; a subclass with several files a sample says which."""
        path = self.path(index)
        return () if path is None else (path,)

    def paths(self) -> Iterator[Path]:
        """The files of all samples, by index; none if samples are not files."""
        return chain.from_iterable(map(self.files, range(len(self) if self.has_files else 0)))
