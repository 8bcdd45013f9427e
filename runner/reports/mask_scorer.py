"""Scores of predicted masks, from the pixels that predictions.csv counts for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runner.data.labels import Head
from runner.records.mask_pictures import MOST_BEST, shown_colors
from runner.records.mask_scores import MaskScores
from runner.reports.scored_samples import ScoredSample, WorstSamples


@dataclass(frozen=True)
class MaskClassScore:
    """One class of masks: its colour in pictures, overlap, share of its pixels found, true and predicted pixels."""

    name: str
    color: str
    iou: float | None
    dice: float | None
    accuracy: float | None
    truth: int
    predicted: int


class MaskScorer:
    """Scores a head with a class for each pixel: adds up the pixels of all samples."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.num_samples = head, labelled, 0
        self.worst, self.best = WorstSamples(), WorstSamples(MOST_BEST)
        self.total = MaskScores.empty(len(head.class_names))
        self.sizes: set[tuple[str, str]] = set()
        """Heights and widths of the masks."""

    def add(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """Add a row."""
        self.num_samples += 1
        num_classes = len(self.head.class_names)
        mean_iou, accuracy = cells[:2] if self.labelled else ("", "")
        true_cells, (_, height, width, *predicted) = cells[2 : -3 - num_classes], cells[-3 - num_classes :]
        counts = np.array(list(map(int, true_cells)) or [0] * 2 * num_classes, np.int64).reshape(2, num_classes)
        self.sizes.add((height, width))
        self.total += MaskScores(counts[0], np.array(list(map(int, predicted)), np.int64), counts[1])
        if mean_iou:  # empty if no pixel of the sample counts
            iou, detail = float(mean_iou), f"mean IoU {float(mean_iou):.3f}, {float(accuracy):.1%} of its pixels right"
            self.best.add(ScoredSample(iou, row, sample_id, "", "", detail))
            if iou < 1:
                self.worst.add(ScoredSample(-iou, row, sample_id, "", "", detail))

    def scores(self) -> list[MaskClassScore]:
        """One score per class."""
        total = self.total
        colors = ("#{:02x}{:02x}{:02x}".format(*color) for color in shown_colors(self.head))
        columns = (colors, total.iou, total.dice, total.accuracy, total.truth.tolist(), total.predicted.tolist())
        return [MaskClassScore(name, *values) for name, *values in zip(self.head.class_names, *columns, strict=True)]
