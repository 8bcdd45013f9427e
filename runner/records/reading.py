"""run.json as anyone reads it, whatever became of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.records.process import is_alive
from runner.records.record import RUN_JSON


def read_run(folder: Path) -> dict[str, Any]:
    """The document of the run in `folder`; changes no file.

    `status` is ``killed`` where the file says ``running`` and the process that wrote it is gone
    from this host. Of a process on another host nothing is known: that run stays ``running``.
    Raises `RunnerError`, naming the file, where it is missing or no run's document.
    """
    path = folder / RUN_JSON
    document = _document(path)
    if document["status"] == "running" and not is_alive(document.get("process") or {}):
        # Read again, now that nobody writes: it may have ended well since the first reading.
        document = _document(path)
        if document["status"] == "running":
            document["status"] = "killed"
    return document


def _document(path: Path) -> dict[str, Any]:
    document = _loaded(path)
    if not isinstance(document, dict) or "status" not in document:
        raise RunnerError(f"{path} is no record of a run: it has no status")
    return document


def _loaded(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunnerError(f"{path} does not exist; give the folder of a run, such as outputs/latest") from error
    except OSError as error:
        raise RunnerError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunnerError(f"{path} is damaged, and no JSON: {error}") from error
