"""The section of a page on models that were written in other formats: files, sizes, and how well they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.messages import format_bytes, plural


@dataclass(frozen=True)
class ExportedFormat:
    """A format of `mode=export`: its file, or why there is none; and its outputs compared with those of the model.

    `difference` is that of the output that differs most, measured by what is `allowed` there.
    """

    name: str
    file: str = ""
    bytes: int | str = ""
    size: str = ""
    digest: str = ""
    failed: str = ""
    difference: str = ""
    allowed: str = ""
    classes: str = ""


@dataclass(frozen=True)
class ExportsSection:
    """The formats of a run, in the order that they were written in, and the samples that they were compared on."""

    formats: list[ExportedFormat]
    compared_on: str


def exports_section(document: Mapping[str, Any]) -> ExportsSection | None:
    """The section of a run of `mode=export`; None for another run."""
    found = document["results"].get("export") or {}
    formats = [_exported(name, one) for name, one in (found.get("formats") or {}).items()]
    if not formats:
        return None
    count = found.get("samples")
    return ExportsSection(formats, f"{plural(count, 'sample')} of split {found['split']}" if count else "")


def _exported(name: str, one: Mapping[str, Any]) -> ExportedFormat:
    if "failed" in one:
        return ExportedFormat(name, failed=str(one["failed"]))
    file, size = f"export/{one['path']}", one["bytes"]
    return ExportedFormat(name, file, size, format_bytes(size), one["digest"], **_compared(one))


def _compared(one: Mapping[str, Any]) -> dict[str, str]:
    """How well the outputs of a format agree with those of the model, as far as they were compared."""
    outputs = (one.get("agreement") or {}).values()
    if not outputs:
        return {}
    worst = max(outputs, key=lambda output: output["largest_difference"] / output["allowed"])
    other = sum(output["other_classes"] for output in outputs)
    has_classes = any(output["has_classes"] for output in outputs)
    return {
        "difference": f"{worst['largest_difference']:.1e}",
        "allowed": f"{worst['allowed']:.1e}",
        "classes": f"{other:,} differ" if other else "the same" if has_classes else "",
    }
