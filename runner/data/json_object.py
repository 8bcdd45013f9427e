"""A JSON file that holds one object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner.errors import DataError


def read_json_object(file: Path) -> dict[str, Any]:
    """What the object in `file` holds.

    Raises `DataError`, with the file's path, if it cannot be read, is no JSON (cut off, perhaps) or no object.
    """
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} must be a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} must hold one JSON object, {{…}}; got {_called(content)}")
    return content


def _called(value: Any) -> str:
    return "a list" if isinstance(value, list) else json.dumps(value)[:50]
