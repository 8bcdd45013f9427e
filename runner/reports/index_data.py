"""What the page of all runs needs of each run to put chosen ones side by side: keys, best values, and curves.

A run is one line of JSON that needs no other, so that lines of runs which have not changed are used again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

from runner.records.columns import goal_of_column, in_unit, title_of
from runner.records.dotted import flat_items, is_unset
from runner.records.output import csv_text
from runner.records.run_folder import is_number
from runner.records.summary import MOST_POINTS, SummarizedRun, thinned
from runner.reports.plot import MARKS, Style, key_svg

CURVES_BYTES = 500_000
"""About what all curves together may take; with more runs, each has fewer points."""

LEAST_POINTS, NUMBER_BYTES = 8, 7
MOST_CURVES = 4
"""The most charts of curves: the losses, and the metrics that most runs have."""

NUM_RESULTS = 3
"""The number of results that have a column in the table."""

LETTERS = 100
"""The longest value of a key."""

IDENTITY = ("name", "tags", "note", "from_run", "resume", "rerun", "verify", "resume_inexact")
"""Keys that say which run it is, and are no difference between what runs did."""

STYLES = (
    Style("rank1", "circle"),
    Style("rank2", "square"),
    Style("rank3", "up"),
    Style("rank4", "diamond"),
    Style("rank5", "down"),
    Style("rank6", "circle"),
    Style("rank7", "square"),
    Style("rank8", "up"),
)
"""The lines of chosen runs, in the order of the table: they differ in dash and mark, not only in colour."""


@dataclass(frozen=True)
class RunFacts:
    """What decides, over all runs, which columns the page has: the monitored value, the evaluation and the curves."""

    objective: str | None
    evaluated: Sequence[str]
    curves: Sequence[str]


@dataclass(frozen=True)
class RunsLayout:
    """What rows and lines of all runs share; when it changes, all are made again.

    `results` are keys of evaluations; each curve has at most `points`.
    """

    objective: str | None
    results: Sequence[str]
    curves: Sequence[str]
    points: int


def facts_of(run: SummarizedRun) -> RunFacts:
    """The facts of one run."""
    summary = run.summary
    return RunFacts((summary["objective"] or [None])[0], list(evaluation(run)), list(summary["curves"]))


def layout_of(facts: Sequence[RunFacts]) -> RunsLayout:
    """The layout for these runs, the oldest first: what most of them have.

    Of curves as many points as all have room for when the number of runs has doubled.
    """
    objectives = Counter(each.objective for each in facts if each.objective is not None)
    results = Counter(key for each in facts for key in each.evaluated)
    curves = [name for name, _ in Counter(name for each in facts for name in each.curves).most_common(MOST_CURVES)]
    room = CURVES_BYTES // (NUMBER_BYTES * (len(curves) or 1) * 2 ** len(facts).bit_length())
    return RunsLayout(
        next((name for name, _ in objectives.most_common(1)), None),
        [key for key, _ in results.most_common(NUM_RESULTS)],
        curves,
        max(LEAST_POINTS, min(MOST_POINTS, room)),
    )


def evaluation(run: SummarizedRun) -> dict[str, float]:
    """The numbers of the evaluation of a run."""
    results = (run.document.get("results") or {}).get("evaluate") or {}
    return {key: value for key, value in results.items() if is_number(value)}


def common_keys(runs: Iterable[SummarizedRun]) -> dict[str, str]:
    """Every key of these runs, with its commonest value."""
    counts: dict[str, Counter[str]] = {}
    for run in runs:
        for key, text in _texts(run):
            counts.setdefault(key, Counter())[text] += 1
    return {key: count.most_common(1)[0][0] for key, count in counts.items()}


class Shared:
    """Values that many runs share, each once in a list; a line has its place there."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.values = list(values)
        self._places = {str(value): place for place, value in enumerate(self.values)}

    def place(self, value: Any) -> int:
        """The place of a value, which is added if it is new."""
        place = self._places.setdefault(str(value), len(self.values))
        if place == len(self.values):
            self.values.append(value)
        return place


def line_of(run: SummarizedRun, layout: RunsLayout, common: Mapping[str, str], shared: Shared) -> str:
    """What the page has of a run, as JSON that HTML may hold: the keys that differ from `common`, results, curves."""
    texts, results = dict(_texts(run)), list(_results(run))
    keys = {key: texts.get(key) for key in (*common, *texts) if texts.get(key) != common.get(key)}
    epochs = run.summary["epochs"]
    kept = thinned(len(epochs), layout.points)
    line = {
        "name": run.name,
        **({"title": run.config["name"]} if run.config.get("name") else {}),
        "keys": keys,
        "results": shared.place([[key, goal] for key, goal, _ in results]),
        "values": [f"{value:.5g}" for _, _, value in results],
        "epochs": shared.place([epochs[at] for at in kept]),
        "curves": [_curve(run, column, kept) for column in layout.curves],
    }
    return str(htmlsafe_json_dumps(line, separators=(",", ":")))


def data_of(lines: Sequence[str], layout: RunsLayout, common: Mapping[str, str], shared: Shared) -> str:
    """The data of the page as JSON that HTML may hold, with one line for each run."""
    styles = [[style.name, MARKS[style.mark], key_svg(style)] for style in STYLES]
    rest = {"common": common, "shared": shared.values, "curves": layout.curves, "styles": styles}
    text = str(htmlsafe_json_dumps(rest, separators=(",", ":")))
    return f'{text[:-1]},"runs":[\n' + ",\n".join(lines) + "\n]}"


def _texts(run: SummarizedRun) -> Iterable[tuple[str, str]]:
    """The keys that are set in the configuration of a run, with their values as text: kinds have different keys."""
    config = {name: value for name, value in run.config.items() if name not in IDENTITY}
    return ((key, _text(value)) for key, value in flat_items(config) if not is_unset(key, value))


def _text(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else csv_text(value)
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"


def _curve(run: SummarizedRun, column: str, places: Sequence[int]) -> str | None:
    """The values of a curve as text, blank where there is none."""
    values = run.summary["curves"].get(column)
    return None if values is None else " ".join("" if values[at] is None else f"{values[at]:.4g}" for at in places)


def _results(run: SummarizedRun) -> Iterable[tuple[str, str | None, float]]:
    """Each result, which way it is better, and its number: best values of columns, then the evaluation, and time."""
    for column in run.summary["curves"]:
        goal = run.goal_of(column)
        value = run.summary["metrics"].get(column, {}).get(goal or "last")
        if is_number(value):
            yield f"best {column}", goal, value
    for key, value in evaluation(run).items():
        yield f"evaluate.{key}", run.goal_of(key) or goal_of_column(key), value
    for key in ("images_per_second", "wait_share", "seconds.total"):
        value = in_unit(key, run.value(key))
        if is_number(value):
            yield title_of(key), goal_of_column(key), value
