"""Any document of a run as JSON that every reader accepts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping


def to_json(document: object) -> str:
    """`document` as indented JSON text, keys in the order they were given."""
    return json.dumps(to_plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_plain(value: object) -> object:
    """`value` in nothing but dict, list, str, int, float, bool and None: a copy, all the way down.

    NumPy's scalars and arrays become numbers and lists; what JSON has no number for becomes
    "nan", "inf" or "-inf", which ``float`` reads back. Anything else, a path say, becomes its text:
    a record must not be what ends a run.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return _from_array(value)


def _from_array(value: object) -> object:
    # Asked for by the method they share, so that nothing here imports NumPy or a backend.
    to_list = getattr(value, "tolist", None)
    plain = to_list() if callable(to_list) else value
    return str(value) if type(plain) is type(value) else to_plain(plain)
