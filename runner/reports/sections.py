"""Sections of the page of a run: the wait for data, samples and classes, and predictions, ready for the template."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from runner.errors import RunnerError
from runner.messages import plural, shape_text
from runner.records.mask_pictures import pictures_name
from runner.records.pictures import FIGURES, Picture, read_class_counts, read_pictures
from runner.records.predictions import PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.records.trace import read_trace
from runner.reports.charts import Chart, scatters
from runner.reports.confusion import (
    ConfusionMap,
    MatrixCell,
    MeanScore,
    confused_pairs,
    confusion_map,
    matrix,
    mean_scores,
)
from runner.reports.mask_scorer import MaskClassScore, MaskScorer
from runner.reports.scored_samples import ScoredSample
from runner.reports.scores import (
    AnyScorer,
    ArrayScorer,
    ClassScore,
    ClassScorer,
    LabelSetScorer,
    NumberScore,
    NumberScorer,
    predictions_bytes,
    score_predictions,
)
from runner.reports.timeline import describe_timeline, timeline_of, timeline_svg

MAX_ROWS = 1000
MAX_POINTS = 2000


@dataclass(frozen=True)
class WaitSection:
    """How long the model waited for data, and where the time of reading went.

    `stages`: the name of a stage, its seconds and its share of all reading. `text` describes the timeline. The last
    two values are None in records of earlier versions.
    """

    share: float
    seconds: float
    first_batch_seconds: float
    advice: str
    stages: Sequence[tuple[str, float, float]]
    svg: Markup | None
    text: str
    skipped: str
    cpu_seconds: float | None
    peak_memory_bytes: int | None


def wait_section(run: RunFolder) -> WaitSection | None:
    """The wait in the record of a run; None if the record has none."""
    results = run.document.get("results", {}).get("fit", {})
    wait = results.get("wait")
    if not wait:
        return None
    total = sum(wait["reasons"].values()) or 1
    stages = [(stage, seconds, seconds / total) for stage, seconds in wait["reasons"].items()]
    lanes = read_trace(run.path)
    timeline = timeline_of(lanes) if lanes else None
    return WaitSection(
        wait["share"],
        wait["seconds"],
        wait["first_batch_seconds"],
        wait["advice"],
        stages,
        timeline_svg(timeline) if timeline else None,
        describe_timeline(lanes) if lanes else "",
        timeline.skipped if timeline else "",
        results.get("cpu_seconds"),
        results.get("peak_memory_bytes"),
    )


@dataclass(frozen=True)
class ClassTable:
    """The number of samples per class of one head, in each split; `most`: the largest of them, for the bars.

    `text`: the least and the most samples that a class has in all splits together.
    """

    head: str
    splits: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]
    most: int
    left_out: int
    text: str


def class_tables(run: RunFolder) -> list[ClassTable]:
    """A table for each head with classes."""
    by_head: dict[str, list[tuple[str, dict[str, int]]]] = {}
    for head, name, counts in read_class_counts(run.path):
        by_head.setdefault(head, []).append((name, counts))
    return [_class_table(head, rows) for head, rows in by_head.items()]


def _class_table(head: str, rows: Sequence[tuple[str, dict[str, int]]]) -> ClassTable:
    most = max((count for _, counts in rows for count in counts.values()), default=0)
    shown = [(name, list(counts.values())) for name, counts in rows[:MAX_ROWS]]
    totals = sorted(sum(counts.values()) for _, counts in rows)
    size = f"{totals[0]:,}" if totals[0] == totals[-1] else f"{totals[0]:,} to {totals[-1]:,}"
    text = f"{plural(len(rows), 'class', 'classes')} of {size} samples"
    return ClassTable(head, list(rows[0][1]), shown, max(most, 1), len(rows) - len(shown), text)


def examples(run: RunFolder) -> dict[str, list[tuple[str, str]]]:
    """Pictures of some samples by class: the data URL of each and the id of its sample."""
    by_class: dict[str, list[tuple[str, str]]] = {}
    for picture in read_pictures(run.path, "examples").values():
        by_class.setdefault(picture.label, []).append((_data_url(run.path, picture), picture.id))
    return by_class


def _data_url(folder: Path, picture: Picture) -> str:
    """The picture as a data URL; an empty one if its file is missing."""
    try:
        data = (folder / FIGURES / picture.file).read_bytes()
    except OSError:
        data = b""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True)
class WrongSample:
    """One of the most wrong samples; `picture`: its data URL, or None."""

    picture: str | None
    sample: ScoredSample


@dataclass(frozen=True)
class PredictionSection:
    """The predictions of one head; `confused`: true class, predicted class, samples, share of the true class."""

    title: str
    num_samples: int
    class_scores: Sequence[ClassScore] = ()
    mean_scores: Sequence[MeanScore] = ()
    number_scores: Sequence[NumberScore] = ()
    mask_scores: Sequence[MaskClassScore] = ()
    is_scored: bool = True
    matrix: Sequence[tuple[str, Sequence[MatrixCell]]] = ()
    confusion_map: ConfusionMap | None = None
    confused: Sequence[tuple[str, str, int, float | None]] = ()
    predicted: Sequence[tuple[str, int]] = ()
    scatters: Sequence[Chart] = ()
    worst: Sequence[WrongSample] = ()
    best: Sequence[WrongSample] = ()
    notes: Sequence[str] = ()


def prediction_sections(run: RunFolder, max_bytes: int | None) -> tuple[list[PredictionSection], str | None]:
    """A section for each head of predictions.csv, or none and the reason why.

    A table of more than `max_bytes` is not read.
    """
    if max_bytes is not None and predictions_bytes(run.path) > max_bytes:
        return [], (
            f"{PREDICTIONS_CSV} is too large to read at the end of a run. To show the predictions here, run: "
            f"python -m runner.report {run.path}"
        )
    try:
        scorers = score_predictions(run.path, run.heads)
        pictures = [
            read_pictures(run.path, pictures_name(number) if isinstance(scorer, MaskScorer) else "worst")
            for number, scorer in enumerate(scorers)
        ]
    except (RunnerError, LookupError, TypeError) as error:
        return [], str(error)
    return [_section(run, scorer, shown) for scorer, shown in zip(scorers, pictures, strict=True)], None


def _section(run: RunFolder, scorer: AnyScorer, pictures: Mapping[str, Picture]) -> PredictionSection:
    title = scorer.head.name or "label"
    worst = _shown(run, scorer.worst.samples(), pictures)
    if isinstance(scorer, MaskScorer):
        return _mask_section(run, scorer, title, worst, pictures)
    if isinstance(scorer, NumberScorer):
        return _number_section(scorer, title, worst)
    if isinstance(scorer, ArrayScorer):
        return _array_section(scorer, title, worst)
    if not scorer.labelled:
        counts = scorer.predicted if isinstance(scorer, LabelSetScorer) else _predicted_counts(scorer)
        predicted = [(name, counts[name]) for name in scorer.head.class_names][:MAX_ROWS]
        note = "The data has no labels, so there are no scores."
        return PredictionSection(title, scorer.num_samples, predicted=predicted, notes=[note])
    scores = scorer.scores()[:MAX_ROWS]
    if isinstance(scorer, LabelSetScorer):
        note = "A sample may have several classes, so there is no confusion matrix."
        means = mean_scores(scorer.scores())
        return PredictionSection(
            title, scorer.num_samples, class_scores=scores, mean_scores=means, worst=worst, notes=[note]
        )
    return PredictionSection(
        title,
        scorer.num_samples,
        class_scores=scores,
        mean_scores=mean_scores(scorer.scores()),
        matrix=matrix(scorer),
        confusion_map=confusion_map(scorer),
        confused=list(confused_pairs(scorer)),
        worst=worst,
    )


def _shown(run: RunFolder, samples: Sequence[ScoredSample], pictures: Mapping[str, Picture]) -> list[WrongSample]:
    return [
        WrongSample(_data_url(run.path, pictures[sample.id]) if sample.id in pictures else None, sample)
        for sample in samples
    ]


def _mask_section(
    run: RunFolder,
    scorer: MaskScorer,
    title: str,
    worst: Sequence[WrongSample],
    pictures: Mapping[str, Picture],
) -> PredictionSection:
    among_worst = {shown.sample.row for shown in worst}
    best = [sample for sample in scorer.best.samples() if sample.row not in among_worst]
    sizes = [f"{height}×{width}" for height, width in sorted(scorer.sizes)[:1]] if len(scorer.sizes) == 1 else []
    if run.enlarges_masks:
        notes = ["Masks are enlarged to the size of their images; scores count the pixels that the model sees."]
    else:
        notes = [f"Masks have the size that the model sees, {size}." for size in sizes]
    if not scorer.labelled:
        best = [ScoredSample(0, row, sample_id, "", "", "") for row, sample_id in enumerate(pictures)]
        notes.append("The data has no masks, so there are no scores.")
    return PredictionSection(
        title,
        scorer.num_samples,
        mask_scores=scorer.scores()[:MAX_ROWS],
        is_scored=scorer.labelled,
        worst=worst,
        best=_shown(run, best, pictures),
        notes=notes,
    )


def _predicted_counts(scorer: ClassScorer) -> Counter[str]:
    counts: Counter[str] = Counter()
    for (_, predicted), count in scorer.pairs.items():
        counts[predicted] += count
    return counts


def _array_section(scorer: ArrayScorer, title: str, worst: Sequence[WrongSample]) -> PredictionSection:
    shape = shape_text(scorer.head.shape)
    notes = [f"The model predicts arrays of {shape}, which are in predictions/."]
    if scorer.labelled and scorer.num_samples:
        notes.append(f"Their mean squared error is {scorer.total / scorer.num_samples:.4g} on average.")
    return PredictionSection(title, scorer.num_samples, worst=worst, notes=notes)


def _number_section(scorer: NumberScorer, title: str, worst: Sequence[WrongSample]) -> PredictionSection:
    if scorer.reconstruction:
        note = "The model reconstructs its input, so the only score is the error of each sample."
        return PredictionSection(title, scorer.num_samples, worst=worst, notes=[note])
    if not scorer.labelled:
        note = "The data has no labels, so there are no scores."
        return PredictionSection(title, scorer.num_samples, notes=[note])
    scores, step = scorer.scores(), -(-scorer.num_samples // MAX_POINTS) or 1
    columns = zip(*(zip(*table[::step], strict=True) for table in (scorer.truth, scorer.predicted)), strict=True)
    drawn = [
        chart
        for name, (truth, predicted) in zip(scorer.names, columns, strict=True)
        for chart in scatters(name, truth, predicted, scorer.ids[::step])
    ]
    notes = [f"The charts show 1 of every {step} samples."] if step > 1 else []
    return PredictionSection(title, scorer.num_samples, number_scores=scores, scatters=drawn, worst=worst, notes=notes)
