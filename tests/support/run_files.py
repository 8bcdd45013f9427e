"""Reads the files a run leaves."""

import csv
import json
from pathlib import Path

from runner.records.metrics import TIMING


def read_rows(file):
    """The rows of a CSV file, each a dictionary of texts."""
    with Path(file).open(newline="") as lines:
        return list(csv.DictReader(lines))


def read_document(folder):
    """run.json of the run in `folder`."""
    return json.loads(Path(folder, "run.json").read_text())


def untimed_metrics(folder):
    """The rows of metrics.csv without the columns that differ between equal runs."""
    rows = read_rows(Path(folder, "metrics.csv"))
    return [{name: cell for name, cell in row.items() if name not in TIMING} for row in rows]


def outcome(folder):
    """All that must be the same, however often the run in `folder` was killed."""
    document = read_document(folder)
    results = document["results"]
    return {
        "status": document["status"],
        "digests": document["digests"],
        "results": {**results, "fit": {name: results["fit"][name] for name in ("epochs", "steps", "samples_seen")}},
        "metrics": untimed_metrics(folder),
        "predictions": Path(folder, "predictions.csv").read_bytes(),
    }
