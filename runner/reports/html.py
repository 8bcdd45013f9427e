"""From a template to a page: one file that opens from disk and asks nothing of a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from runner.records.dotted import flat
from runner.records.output import plain, rounded

NAME = "report.html"


def render_page(template: str, **context: Any) -> str:
    """The page as text; style and script, which all pages share, stand in it."""
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = Markup(_resource("page.css"))
    page = _environment().get_template(template)
    return page.render(**context, style=style, script=Markup(script), script_digest=digest)


def number(value: Any) -> str:
    """A value as a person reads it: whole numbers in groups of three digits, others `rounded`."""
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


def share(value: float | None) -> str:
    """A share of one in per cent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return "–"
    minutes, rest = divmod(float(value), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def breakable(text: str) -> Markup:
    """A dotted key that may go on in a new line after each dot."""
    return escape(text).replace(".", Markup(".<wbr>"))


TITLES: Mapping[str, str] = {
    "versions": "Packages",
    "machine": "Machine",
    "git": "Code",
    "seeds": "Seeds",
    "digests": "Digests",
}
"""Sections of run.json that say where, and on what, a run was made."""

NOT_SHOWN = ("weights_per_epoch",)


def sections_of(document: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Titles of sections of run.json, and what stands in them under dotted keys; only of those that say something."""
    told = [(TITLES[name], flat(document.get(name) or {})) for name in names]
    shown = [(title, [(key, value) for key, value in entries if _is_told(key, value)]) for title, entries in told]
    return [(title, entries) for title, entries in shown if entries]


def _is_told(key: str, value: Any) -> bool:
    return value is not None and key not in NOT_SHOWN


def _environment() -> Environment:
    loader = PackageLoader("runner", "reports")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = {"number": number, "share": share, "seconds": seconds, "plain": plain}
    environment.filters.update(filters, breakable=breakable, title=lambda text: text.replace("_", " "))
    return environment


def _resource(name: str) -> str:
    return files("runner.reports").joinpath(name).read_text(encoding="utf-8")
