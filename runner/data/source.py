"""Source: where samples live. The base class of everything that loaders read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.batch import Indices
from runner.data.labels import Labels
from runner.data.places import Spans
from runner.fields import SampleSpec, Values
from runner.place import Place


class Source(ABC):
    """Samples by index. The same index always gives the same sample.

    A subclass defines `ids`, `labels`, `spec` and `read`. It defines `places` as well if samples are stored as bytes of
    their own, and `read_many` if it reads several samples faster together.

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
        """Read sample `index` into `out`; return the XXH3-128 digest of its bytes, None if they are not seen."""
        self.read(index, out)
        return None

    def places(self, index: int) -> tuple[Place, ...]:
        """Where the bytes of sample `index` are, those of its first array first; empty if it has none of its own."""
        return ()

    def sample_name(self, index: int) -> str:
        """What messages call sample `index`: its file, or its place in one, or its id."""
        places = self.places(index)
        return places[0].name if places else self.ids[index]

    @property
    def has_bytes(self) -> bool:
        """Whether each sample is stored as bytes of its own, in a file or a part of one."""
        return len(self) > 0 and bool(self.places(0))

    def spans(self) -> Spans | None:
        """The parts of large files that the samples lie in; None if they do not."""
        return None
