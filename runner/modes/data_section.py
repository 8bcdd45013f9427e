"""What run.json says of the data."""

from __future__ import annotations

from typing import Any

from runner.data.dataset import Dataset
from runner.data.labels import heads_document
from runner.records.digests import data_fingerprint


def data_section(dataset: Dataset) -> dict[str, Any]:
    """The splits, what a sample looks like, what it is told apart by, and a digest of all its files' states."""
    return {
        **_amount(dataset),
        "shape": dataset.spec.shape,
        "dtype": str(dataset.spec.dtype),
        "classes": {head.name or "label": head.class_names for head in dataset.heads},
        "heads": heads_document(dataset.heads),
        "fingerprint": data_fingerprint(dataset.stat()),
        "notes": dataset.notes,
    }


def _amount(dataset: Dataset) -> dict[str, Any]:
    """How much there is in each split: samples, or batches of a pass where these come ready-made."""
    if dataset.batches is not None:
        return {"steps": dataset.batches.steps}
    return {"samples": {split: len(source) for split, source in dataset.splits.items()}}
