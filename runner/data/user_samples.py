"""Samples that an object of the user's own reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec
from runner.data.labels import Labels
from runner.errors import BadSampleError, UserReadError
from runner.user_code import told

OF_THE_SAMPLE = (OSError, EOFError, ValueError, BadSampleError)
"""What reading raises over a file that is missing, cut off or damaged; anything else is a mistake in the code."""


@dataclass(frozen=True)
class UserSamples:
    """What `given.read(index)` returns, checked: every sample must be like the first.

    It travels to worker processes by pickle with the object; `read` is called by several threads at once.
    """

    given: Any
    ids: list[str]
    labels: Labels
    spec: ArraySpec

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, index: int, out: Array | None = None) -> Array:
        """Sample `index`; float64 becomes float32."""
        array = read_array(self.given, index, self.ids[index])
        spec = ArraySpec(array.shape, array.dtype)
        if spec != self.spec:
            raise BadSampleError(
                self.ids[index],
                f"read({index}) must return an array like that of the first sample, {_words(self.spec)}, "
                f"got {_words(spec)}",
            )
        if out is None:
            return array.copy()
        out[...] = array
        return out


class UserFiles(UserSamples):
    """Samples of a file each: the object has `path(index)`."""

    def path(self, index: int) -> Path:
        """The file of sample `index`."""
        return Path(self.given.path(index))

    def read_hashed(self, index: int, out: Array) -> None:
        """Read sample `index` into `out`; what its file holds only the user's code has seen."""
        self.read(index, out)


def read_array(given: Any, index: int, name: str) -> Array:
    """What `given` reads, as an array of numbers of at most float32.

    Raises `BadSampleError`, naming the sample, whatever goes wrong; `UserReadError` if the sample is not to blame.
    """
    try:
        array = np.asarray(given.read(index))
    except Exception as error:
        kind = BadSampleError if isinstance(error, OF_THE_SAMPLE) else UserReadError
        raise kind(name, f"read({index}) failed: {told(error)}") from error
    if array.dtype.kind not in "biuf":
        raise BadSampleError(name, f"read({index}) must return an array of numbers, got one of {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _words(spec: ArraySpec) -> str:
    return f"{'×'.join(map(str, spec.shape)) or 'one number,'} {spec.dtype}"
