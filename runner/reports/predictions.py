"""predictions.csv read again, a row at a time."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from runner.data.labels import Head
from runner.errors import RunnerError
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.predictions import prediction_columns
from runner.reports.scores import AnyJudge, judge_of


def predictions_bytes(folder: Path) -> int:
    """The size of the table; 0 where there is none."""
    path = folder / PREDICTIONS_CSV
    return path.stat().st_size if path.exists() else 0


def judge_predictions(folder: Path, heads: Sequence[Head]) -> list[AnyJudge]:
    """The predictions of a run, judged: one judge per head; none where the run predicted nothing.

    Raises `RunnerError` where the table cannot be read, or is not of these heads.
    """
    path = folder / PREDICTIONS_CSV
    if not path.exists() or not heads:
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            labelled = header == prediction_columns(heads, labelled=True)
            if not labelled and header != prediction_columns(heads, labelled=False):
                raise RunnerError(f"{path} has other columns than its run's heads")
            places = zip(heads, _cells(heads, labelled), strict=True)
            judges = [(judge_of(head, labelled), cells) for head, cells in places]
            for number, row in enumerate(rows):
                for judge, cells in judges:
                    judge.take(number, row[0], row[cells])
    except (OSError, ValueError, LookupError, csv.Error) as error:
        raise RunnerError(f"cannot read {path}: {error}") from error
    return [judge for judge, _ in judges]


def _cells(heads: Sequence[Head], labelled: bool) -> list[slice]:
    """Where the columns of each head stand."""
    slices, start = [], 1
    for head in heads:
        end = start + len(prediction_columns([head], labelled=labelled)) - 1
        slices.append(slice(start, end))
        start = end
    return slices
