"""Rows of the page of all runs, kept in a file next to it: the end of a run draws its own row and no other.

Drawing 1,000 rows takes half a second. A row counts as long as the files of its run are as they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.errors import RunnerError
from runner.records.columns import in_unit, title_of
from runner.records.dotted import flat
from runner.records.files import write_atomically
from runner.records.output import brief, brief_numbers, csv_text
from runner.records.run_folder import RunFolder, is_number
from runner.records.summary import Stamps, SummarizedRun, stamps_of, summarize
from runner.reports.html import REPORT_HTML, render_part, seconds
from runner.reports.index_data import RunFacts, RunsLayout, Shared, common_keys, facts_of, layout_of, line_of

ROWS_JSON = ".index.html.json"
VERSION = 5
"""Raised when rows or lines change; a file of another version does not count."""

MOST_LETTERS = 160
"""The longest text of what was set for a run; the tooltip has more, its own page all of it."""

MOST_IN_TOOLTIP = 1000

WAIT, SECONDS = "wait_share", "seconds.total"


@dataclass
class IndexRow:
    """A run on the page: what decides on columns, the HTML of its row, and its line of data.

    The stamps say for which files; `has_page` whether the row links a page.
    """

    stamps: Stamps
    status: str
    has_page: bool
    facts: RunFacts
    html: str = ""
    line: str = ""


@dataclass
class IndexTable:
    """The rows of the page by the names of runs, the oldest first, and what they share."""

    layout: RunsLayout = field(default_factory=lambda: layout_of([]))
    common: Mapping[str, str] = field(default_factory=dict)
    shared: Shared = field(default_factory=Shared)
    rows: dict[str, IndexRow] = field(default_factory=dict)


def draw_rows(root: Path, runs: Sequence[RunFolder]) -> IndexTable:
    """The rows of these runs, the oldest first; those that the last call drew are used again where they still count.

    A run without a summary gets one.
    """
    known, rows, changed = _read(root / ROWS_JSON), {}, {}
    for run in runs:
        stamps, has_page = stamps_of(run.path), _has_page(run.path)
        row = known.rows.get(run.name)
        if row is None or row.stamps != stamps or row.has_page != has_page or row.status == "running":
            summarized = changed[run.name] = summarize(run, write=True)
            row = IndexRow(stamps, summarized.status, has_page, facts_of(summarized))
        rows[run.name] = row
    layout = layout_of([row.facts for row in rows.values()])
    table = IndexTable(layout, known.common, known.shared, rows)
    if layout != known.layout:  # of other columns, or a list twice as long
        changed = {run.name: changed.get(run.name) or summarize(run, write=True) for run in runs}
        table = IndexTable(layout, common_keys(changed.values()), Shared(), rows)
    for name, summarized in changed.items():
        rows[name].html = _html(summarized, rows[name], layout, root)
        rows[name].line = line_of(summarized, layout, table.common, table.shared)
    if changed or len(rows) != len(known.rows):
        with suppress(RunnerError):  # the folder may be read-only
            write_atomically(root / ROWS_JSON, _as_text(table), overwrite=True, durable=False)
    return table


def _read(path: Path) -> IndexTable:
    """The table that is kept; an empty one if there is none, or if it does not count."""
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != VERSION:
            return IndexTable()
        rows = {
            name: IndexRow(stamps, status, has_page, RunFacts(*facts), html, line)
            for name, (stamps, status, has_page, facts, html, line) in document["rows"].items()
        }
        return IndexTable(RunsLayout(**document["layout"]), document["common"], Shared(document["shared"]), rows)
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return IndexTable()


def _as_text(table: IndexTable) -> str:
    rows = {
        name: [row.stamps, row.status, row.has_page, [*vars(row.facts).values()], row.html, row.line]
        for name, row in table.rows.items()
    }
    shared = {"layout": asdict(table.layout), "common": table.common, "shared": table.shared.values}
    return json.dumps({"version": VERSION, **shared, "rows": rows}, separators=(",", ":"))


def columns_of(layout: RunsLayout) -> list[tuple[str, str]]:
    """The titles and keys of the columns with numbers."""
    keys = [*(f"evaluate.{key}" for key in layout.results), WAIT, SECONDS]
    objective = [] if layout.objective is None else [(f"best {layout.objective}", layout.objective)]
    return [*objective, *((title_of(key), key) for key in keys)]


def _html(run: SummarizedRun, row: IndexRow, layout: RunsLayout, root: Path) -> str:
    values = {key: run.value(key) for _, key in columns_of(layout)}
    own, _, best, _ = run.summary["objective"] or (None,) * 4
    if own is not None and own == layout.objective:
        values[own] = best
    link = link_of(run.path, root) if row.has_page else None
    results = [_shown(key, value) for key, value in values.items()]
    whole = _setting(run)
    setting, whole = _cut(brief_numbers(whole), MOST_LETTERS), _cut(whole, MOST_IN_TOOLTIP)
    return render_part("index_row.html.j2", run=run, link=link, setting=setting, whole=whole, results=results)


def _has_page(folder: Path) -> bool:
    return (folder / REPORT_HTML).is_file()


def link_of(folder: Path, root: Path) -> str | None:
    """The link to the page of a run or sweep; None if it has no page."""
    return quote(f"{folder.relative_to(root).as_posix()}/{REPORT_HTML}") if _has_page(folder) else None


def _shown(key: str, value: Any) -> tuple[Any, str]:
    """A number and its text; neither for anything else."""
    if not is_number(value):
        return None, ""
    if key == SECONDS:
        return f"{value:.4g}", seconds(value)
    value = in_unit(key, value)
    text = f"{value:.1f}" if key == WAIT else brief(float(value))
    return (f"{value:.6g}" if "," in text else None), text  # a text without separators sorts as a number


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _setting(run: SummarizedRun) -> str:
    """What was set for a run: its overrides, else the keys that differ from the defaults."""
    overrides = run.value("overrides") or [
        f"{key}={csv_text(value)}" for key, value in flat(run.document.get("changed") or {}) if key
    ]
    return " ".join(map(str, overrides))
