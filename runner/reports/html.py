"""Pages from templates: each page is one file that opens from disk and needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from runner.messages import format_bytes, plural
from runner.records.dotted import flat
from runner.records.output import csv_text, rounded

REPORT_HTML = "report.html"


CHART_LIBRARY = ("mpld3", "mpld3/js/d3.v5.min.js")
"""The package that brings d3, and its file there."""


@dataclass(frozen=True)
class Script:
    """A script of a page; the policy of the page allows those with its digest, and no others."""

    text: Markup
    digest: str


def render_page(
    template: str, *, key: str, has_charts: bool, is_live: bool = False, scripts: Sequence[str] = (), **context: Any
) -> str:
    """The page as text, with the style and the scripts that all pages share; charts and live pages need more of them.

    What a reader sets on the page is kept under `key` while it is drawn again; a page of something that `is_live`
    reloads itself. `scripts` are the page's own, which begin last.
    """
    library = _library() if has_charts else None
    drawing = [] if library is None else [library, *map(_script, ("charts.js", "parallel.js"))]
    own = map(_script, (*scripts, *(("live.js",) if is_live else ())))
    written = datetime.now(UTC) if is_live else None
    is_still = has_charts and library is None
    page = _environment().get_template(template)
    all_scripts = [_script("page.js"), *drawing, *own]
    return page.render(**context, key=key, written=written, style=_style(), scripts=all_scripts, is_still=is_still)


def render_part(template: str, **context: Any) -> str:
    """A part of a page as HTML, from a template of its own."""
    return _environment().get_template(template).render(context).strip()


@cache
def _library() -> Script | None:
    """d3, from the package that brings it; None if that is missing, and charts stay still.

    The package is not imported, as it would import Matplotlib.
    """
    name, path = CHART_LIBRARY
    try:
        return _as_script(Path(str(distribution(name).locate_file(path))).read_text(encoding="utf-8"))
    except (PackageNotFoundError, OSError):
        return None


@cache
def _script(name: str) -> Script:
    return _as_script(_resource(name))


def _as_script(text: str) -> Script:
    # A browser reads every line end as a line feed, before it computes the digest.
    lines = text.replace("\r\n", "\n")
    return Script(Markup(lines), base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode())


@cache
def _style() -> Markup:
    return Markup(_resource("page.css"))


def number(value: Any) -> str:
    """A value as text: whole numbers with thousands separators, other numbers `rounded`."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, list):
        return f"[{', '.join(map(number, value))}]"
    return str(value)


def aligned(values: Sequence[Any]) -> list[str]:
    """The numbers of a column as text, with spaces behind them, so that their decimal points are below each other.

    >>> [text.replace("\u2007", "_").replace("\u2008", ",") for text in aligned([2.5, 10, 0.125])]
    ['2.5__', '10,___', '0.125']
    """
    texts = list(map(number, values))
    most = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [_padded(text, most) for text in texts]


def _padded(text: str, decimals: int) -> str:
    if text == "–":
        return text
    missing = decimals - len(text.partition(".")[2])
    point = "\u2008" if decimals and "." not in text else ""  # as wide as a point; the others are as wide as a digit
    return text + point + "\u2007" * missing


def setting(value: Any) -> str:
    """The value of a varied key as text: a number with four significant digits, anything else whole."""
    return f"{value:.4g}" if isinstance(value, float) else csv_text(value)


def share(value: float | None) -> str:
    """A share of one as a percentage."""
    return "–" if value is None else f"{value:.1%}"


SHORT_SECONDS = 0.095
"""Shorter durations are in milliseconds: they would be 0.0 s."""


def seconds(value: float | None) -> str:
    """A duration in milliseconds, seconds, minutes or hours.

    >>> [seconds(value) for value in (0, 0.0034, 0.5, 75, 7260)]
    ['0 s', '3.4 ms', '0.5 s', '1 min 15 s', '2 h 1 min']
    """
    if value is None:
        return "–"
    if value < SHORT_SECONDS:
        return f"{1000 * value:.2g} ms" if value else "0 s"
    minutes, rest = divmod(float(value), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


LONG_NAME = 14
"""The longest name that a heading never breaks."""

HEADING = re.compile(r'<h2 id="([^"]*)">(.*?)</h2>')


def headings(content: Markup) -> list[tuple[str, Markup]]:
    """The ids and titles of the sections of a page."""
    return [(id_, Markup(title)) for id_, title in HEADING.findall(content)]


def breakable(text: str, after: str = ".") -> Markup:
    """A dotted key that may break after each dot, or a path after each slash; long names break after underscores."""
    broken = escape(text).replace(after, Markup(f"{after}<wbr>"))
    return broken.replace("_", Markup("_<wbr>")) if max(map(len, text.split(after))) > LONG_NAME else broken


TITLES: Mapping[str, str] = {
    "versions": "Packages",
    "machine": "Machine",
    "git": "Code",
    "seeds": "Seeds",
    "digests": "Digests",
}
"""Sections of run.json that describe the environment of a run."""

HIDDEN_KEYS = ("weights_per_epoch",)


def sections_of(document: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Sections of run.json that are not empty: their titles, dotted keys and values."""
    sections = [(TITLES[name], flat(document.get(name) or {})) for name in names]
    shown = [(title, [(key, value) for key, value in entries if _is_shown(key, value)]) for title, entries in sections]
    return [(title, entries) for title, entries in shown if entries]


def _is_shown(key: str, value: Any) -> bool:
    return value is not None and key not in HIDDEN_KEYS


@cache
def _environment() -> Environment:
    loader = PackageLoader("runner", "reports")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = {
        "number": number,
        "share": share,
        "seconds": seconds,
        "plural": plural,
        "setting": setting,
        "bytes": format_bytes,
    }
    environment.filters.update(filters, breakable=breakable, headings=headings)
    environment.filters["title"] = lambda text: text.replace("_", " ")
    return environment


def _resource(name: str) -> str:
    return files("runner.reports").joinpath(name).read_text(encoding="utf-8")
