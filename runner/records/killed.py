"""A run whose process is known to be gone, for readers on other hosts: they cannot see that."""

from __future__ import annotations

import json
from pathlib import Path

from runner.records.files import write_atomically
from runner.records.json_text import to_json
from runner.records.record import RUN_JSON


def mark_killed(folder: Path) -> None:
    """Write that the run in `folder` was killed, where its run.json says that it is running."""
    path = folder / RUN_JSON
    if not path.exists():
        return
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["status"] == "running":
        write_atomically(path, to_json({**document, "status": "killed"}), overwrite=True)
