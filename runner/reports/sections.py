"""What a page says, section by section, ready to be written down."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from runner.errors import RunnerError
from runner.records.pictures import FOLDER, Picture, read_class_counts, read_pictures
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.records.trace import read_trace
from runner.reports.charts import FIRST, GRID, INK, MUTED, SECOND, inline_svg, scatter
from runner.reports.scores import (
    AnyJudge,
    ClassJudge,
    ClassScore,
    LabelSetJudge,
    NumberJudge,
    NumberScore,
    Sample,
    judge_predictions,
    predictions_bytes,
)
from runner.reports.timeline import Palette, draw_timeline, told_in_words

MATRIX_CLASSES = 30
"""Classes up to which a confusion matrix can be read."""
SHOWN_ROWS = 1000
"""Rows of a table at most."""
SHOWN_PAIRS = 15
SHOWN_POINTS = 2000
PAGE = Palette(INK, MUTED, GRID, FIRST, SECOND)
"""The colours of the page, light or dark."""


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix: the samples, and their share of the true class."""

    count: int
    share: float


@dataclass(frozen=True)
class Shown:
    """A sample as a picture (or none), and what is said of it."""

    picture: str | None
    sample: Sample


@dataclass(frozen=True)
class Judgement:
    """What is shown of one head."""

    title: str
    num_samples: int
    class_scores: Sequence[ClassScore] = ()
    number_scores: Sequence[NumberScore] = ()
    matrix: Sequence[tuple[str, Sequence[Cell]]] = ()
    confused: Sequence[tuple[str, str, int, float | None]] = ()
    predicted: Sequence[tuple[str, int]] = ()
    scatters: Sequence[tuple[str, Markup]] = ()
    worst: Sequence[Shown] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Classes:
    """How many samples the classes of one head have in each split, and pictures of some."""

    head: str
    splits: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]
    most: int
    left_out: int


@dataclass(frozen=True)
class Waiting:
    """How long the model waited; stages of the work with their seconds and share of it; the picture, and in words.

    What training took of processors and memory is None where an earlier version, which did not tell, wrote the record.
    """

    share: float
    seconds: float
    first_batch_seconds: float
    advice: str
    stages: Sequence[tuple[str, float, float]]
    svg: Markup | None
    words: str
    cpu_seconds: float | None
    peak_memory_bytes: int | None


def waiting(run: RunFolder) -> Waiting | None:
    """What the record says of the wait; None where it says nothing."""
    results = run.document.get("results", {}).get("fit", {})
    told = results.get("wait")
    if not told:
        return None
    total = sum(told["reasons"].values()) or 1
    stages = [(stage, seconds, seconds / total) for stage, seconds in told["reasons"].items()]
    lanes = read_trace(run.path)
    svg = inline_svg(draw_timeline(lanes, PAGE), "timeline") if lanes else None
    words = told_in_words(lanes) if lanes else ""
    return Waiting(
        told["share"],
        told["seconds"],
        told["first_batch_seconds"],
        told["advice"],
        stages,
        svg,
        words,
        results.get("cpu_seconds"),
        results.get("peak_memory_bytes"),
    )


def class_tables(run: RunFolder) -> list[Classes]:
    """One per head with classes."""
    by_head: dict[str, list[tuple[str, dict[str, int]]]] = {}
    for head, name, counts in read_class_counts(run.path):
        by_head.setdefault(head, []).append((name, counts))
    return [_classes(head, rows) for head, rows in by_head.items()]


def _classes(head: str, rows: Sequence[tuple[str, dict[str, int]]]) -> Classes:
    most = max((count for _, counts in rows for count in counts.values()), default=0)
    listed = [(name, list(counts.values())) for name, counts in rows[:SHOWN_ROWS]]
    return Classes(head, list(rows[0][1]), listed, max(most, 1), len(rows) - len(listed))


def examples(run: RunFolder) -> dict[str, list[tuple[str, str]]]:
    """By class, pictures of some samples, as the text of an address, and their ids."""
    by_class: dict[str, list[tuple[str, str]]] = {}
    for picture in read_pictures(run.path, "examples").values():
        by_class.setdefault(picture.label, []).append((_embedded(run.path, picture), picture.id))
    return by_class


def judgements(run: RunFolder, most_bytes: int | None) -> tuple[list[Judgement], str | None]:
    """What predictions.csv comes to, head by head; or why nothing is shown of it.

    A table of more than `most_bytes` is not read.
    """
    if most_bytes is not None and predictions_bytes(run.path) > most_bytes:
        return [], (
            f"{PREDICTIONS_CSV} is too large to be read at the end of a run; this draws what it shows: "
            f"python -m runner.report {run.path}"
        )
    try:
        judges = judge_predictions(run.path, run.heads)
        pictures = read_pictures(run.path, "worst")
    except (RunnerError, LookupError, TypeError) as error:
        return [], str(error)
    return [_judgement(run, judge, pictures) for judge in judges], None


def _judgement(run: RunFolder, judge: AnyJudge, pictures: Mapping[str, Picture]) -> Judgement:
    title = judge.head.name or "label"
    worst = [
        Shown(_embedded(run.path, pictures[sample.id]) if sample.id in pictures else None, sample)
        for sample in judge.worst.samples()
    ]
    if isinstance(judge, NumberJudge):
        return _numbers(judge, title, worst)
    if not judge.labelled:
        claimed = judge.claimed if isinstance(judge, LabelSetJudge) else Counter(dict(_second(judge)))
        predicted = [(name, claimed[name]) for name in judge.head.class_names][:SHOWN_ROWS]
        note = "The data has no labels: what is predicted can be counted, not judged."
        return Judgement(title, judge.num_samples, predicted=predicted, notes=[note])
    scores = judge.scores()[:SHOWN_ROWS]
    if isinstance(judge, LabelSetJudge):
        note = "A sample may have several classes, so there is no confusion matrix."
        return Judgement(title, judge.num_samples, class_scores=scores, worst=worst, notes=[note])
    names = judge.head.class_names
    small = len(names) <= MATRIX_CLASSES
    notes = [] if small else [f"A confusion matrix of {len(names):,} classes cannot be read, so none is drawn."]
    return Judgement(
        title,
        judge.num_samples,
        class_scores=scores,
        matrix=_matrix(judge) if small else (),
        confused=list(_confused(judge)),
        worst=worst,
        notes=notes,
    )


def _second(judge: ClassJudge) -> Iterator[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for (_, predicted), count in judge.pairs.items():
        counts[predicted] += count
    yield from counts.items()


def _matrix(judge: ClassJudge) -> list[tuple[str, list[Cell]]]:
    names = judge.head.class_names
    rows = ((name, [judge.pairs[name, other] for other in names]) for name in names)
    return [(name, [Cell(count, count / max(1, sum(counts))) for count in counts]) for name, counts in rows]


def _confused(judge: ClassJudge) -> Iterator[tuple[str, str, int, float | None]]:
    """Which class was most often taken for which other one, and for what share of its samples."""
    support = {score.name: score.support for score in judge.scores()}
    wrong = [(count, pair) for pair, count in judge.pairs.items() if pair[0] and pair[0] != pair[1]]
    for count, (truth, predicted) in sorted(wrong, key=lambda entry: (-entry[0], entry[1]))[:SHOWN_PAIRS]:
        yield truth, predicted, count, count / support[truth] if support.get(truth) else None


def _numbers(judge: NumberJudge, title: str, worst: Sequence[Shown]) -> Judgement:
    if judge.reconstruction:
        note = "The model gives its input back: each sample's error is all there is to show."
        return Judgement(title, judge.num_samples, worst=worst, notes=[note])
    if not judge.labelled:
        note = "The data has no labels: the numbers cannot be judged."
        return Judgement(title, judge.num_samples, notes=[note])
    scores, step = judge.scores(), -(-judge.num_samples // SHOWN_POINTS) or 1
    columns = zip(*(zip(*table[::step], strict=True) for table in (judge.truth, judge.predicted)), strict=True)
    drawn = [
        (name, scatter(f"{title}-{name}", truth, predicted))
        for name, (truth, predicted) in zip(judge.names, columns, strict=True)
    ]
    notes = [f"Every {step}th sample is drawn."] if step > 1 else []
    return Judgement(title, judge.num_samples, number_scores=scores, scatters=drawn, worst=worst, notes=notes)


def _embedded(folder: Path, picture: Picture) -> str:
    """A picture as the text of an address; one that is gone is an empty picture."""
    try:
        data = (folder / FOLDER / picture.file).read_bytes()
    except OSError:
        data = b""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
