"""How a table or a partition may call the splits."""

from __future__ import annotations

from runner.batch import SPLITS

SPLIT_NAMES = {**{split: split for split in SPLITS}, "val": "validation"}
"""The split by each of its names."""

EXPECTED = "train, validation (or val) and test"
