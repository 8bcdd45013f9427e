"""Digests of delivered ids, arrays, weights and data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain

from runner.batch import Array
from runner.fields import Values, arrays_of


class IdStream:
    """A digest of the ids delivered so far, in their order and independent of batches.

    Each id's digest includes the one before, so `hexdigest()` is the whole state: a stream that starts from it
    continues as if it had never stopped.
    """

    def __init__(self, state: str | None = None) -> None:
        self._digest = hashlib.sha256().digest() if state is None else bytes.fromhex(state)

    def update(self, ids: Iterable[str]) -> None:
        """Add the next ids."""
        digest = self._digest
        for sample_id in ids:
            # The digest's fixed length separates the ids: ("ab", "c") differs from ("a", "bc").
            digest = hashlib.sha256(digest + _encoded(sample_id)).digest()
        self._digest = digest

    def hexdigest(self) -> str:
        """The digest as 64 hexadecimal digits."""
        return self._digest.hex()


def array_digest(*values: Values) -> str:
    """SHA-256 over dtype, shape and bytes of arrays, and name of each of several, as 64 hexadecimal digits."""
    return weights_digest(chain.from_iterable(map(arrays_of, values)))


def weights_digest(arrays: Iterable[tuple[str, Array]]) -> str:
    """SHA-256 over name, dtype, shape and bytes of each array, in their order, as 64 hexadecimal digits.

    Names must not be Keras's variable paths, which change when a model is loaded from a file, and with the number of
    models built before in the process. Use positions.
    """
    digest = hashlib.sha256()
    for name, array in arrays:
        # The name of the dtype too: the code of bfloat16 and similar types is `V2` for all.
        for text in (name, array.dtype.name, array.dtype.str, repr(array.shape)):
            digest.update(_framed(text))
        digest.update(array.tobytes())
    return digest.hexdigest()


def data_fingerprint(entries: Iterable[tuple[str, int, int]]) -> str:
    """SHA-256 over (id, size in bytes, modification time in ns), in their order, as 64 hexadecimal digits.

    Reads no file: a change that keeps a file's size and modification time goes unnoticed.
    """
    digest = hashlib.sha256()
    for sample_id, size_bytes, changed_ns in entries:
        digest.update(_framed(sample_id) + _framed(f"{size_bytes} {changed_ns}"))
    return digest.hexdigest()


def _framed(text: str) -> bytes:
    data = _encoded(text)
    return len(data).to_bytes(8, "little") + data


def _encoded(text: str) -> bytes:
    # File names may contain bytes that are not UTF-8, which Python represents as lone surrogates.
    return text.encode("utf-8", "surrogatepass")
