"""What makes a kept array the right one: the state of its file, and all that turns the file into an array."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from runner.batch import ArraySpec

DECODERS = ("keras-runner", "numpy", "pillow", "simplejpeg", "opencv-python-headless")
"""What decodes and resizes: another version may give other pixels."""

KEY_BYTES = 32
"""Of a key as text: 128 bits in hexadecimal digits, for NumPy takes zeros at the end of bytes for nothing."""


def recipe(settings: Mapping[str, Any], spec: ArraySpec) -> dict[str, Any]:
    """All that makes an array of a file: the settings, shape and dtype, and the versions of the decoders."""
    return {
        "settings": dict(settings),
        "shape": list(spec.shape),
        "dtype": spec.dtype.str,
        "versions": {name: metadata.version(name) for name in DECODERS},
    }


def recipe_key(document: Mapping[str, Any]) -> str:
    """Hexadecimal digits that no other recipe has."""
    return _digest(json.dumps(document, sort_keys=True))


def file_key(path: Path) -> str:
    """`KEY_BYTES` hexadecimal digits for a file as it is now: its path, size and time of change.

    Empty text if it is missing. A file that changed and kept both its size and its time goes unnoticed.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  (Path.stat costs 1 µs more)
    except OSError:
        return ""
    return _digest(f"{status.st_size} {status.st_mtime_ns} {os.path.abspath(path)}")  # noqa: PTH100


def _digest(text: str) -> str:
    # File names may hold bytes that are no UTF-8; Python has them as lone surrogates.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES // 2).hexdigest()
