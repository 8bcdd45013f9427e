"""run.json as all readers see it: its sections have the types that the runner writes, whoever wrote the file.

A file that differs is refused as a whole, at this one place; so one odd run never ends a command over all runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.errors import RunnerError
from runner.messages import format_bytes

MOST_BYTES = 100_000_000
"""The largest run.json to read."""
MOST_DEPTH = 50
"""The deepest nesting; the runner's own records have 8 levels."""

Section = dict[str, Any]


class Shape(BaseModel):
    """Keys and the types of their values; further keys may hold anything, as another version may write them."""

    model_config = ConfigDict(extra="allow", strict=True)


class ErrorSection(Shape):
    """`error`."""

    type: str
    message: str


class ProcessSection(Shape):
    """`process`."""

    host: str = ""
    boot_id: str | None = None
    pid: int = 0
    started_seconds_after_boot: float = 0.0


class GitSection(Shape):
    """`git`."""

    commit: str | None = None
    dirty: bool | None = None


class ContentsSection(Shape):
    """`data.contents`."""

    files: dict[str, str] = {}


class DataSection(Shape):
    """`data`."""

    samples: dict[str, int] = {}
    steps: dict[str, int] = {}
    shape: list[int] = []
    classes: Section = Section()
    heads: list[Section] = []
    notes: list[str] = []
    contents: ContentsSection = ContentsSection()
    bad_samples: dict[str, int] = {}
    cache: Section | None = None


class FromRunSection(Shape):
    """`from_run`."""

    path: str = ""
    heads: list[Section] = []


class ResultSection(Shape):
    """`results` of one stage."""

    wait: Section | None = None


class ResumeSection(Shape):
    """One entry of `resumed`."""

    time: str = ""
    epochs: int = 0
    phases: list[dict[str, Any]] = []


class PhaseSection(Shape):
    """One entry of `network.phases`."""

    phase: int
    first_epoch: int
    trainable_weights: int
    optimizer: str
    of_mixed_samples: bool = False


class NetworkSection(Shape):
    """`network`."""

    phases: list[PhaseSection] = []


class RunDocument(Shape):
    """A whole run.json; `process` may be missing in a record of an early version."""

    status: str
    stage: str | None = None
    error: ErrorSection | None = None
    argv: list[str] = []
    overrides: list[str] = []
    foreign_files: list[str] = []
    debug: Section = Section()
    from_run: FromRunSection = FromRunSection()
    rerun: Section = Section()
    changed: Section = Section()
    started: str = ""
    resumed: list[ResumeSection] = []
    finished: str | None = None
    process: ProcessSection = ProcessSection()
    seeds: Section = Section()
    backend: str = ""
    versions: Section = Section()
    packages: Section = Section()
    machine: Section = Section()
    environment: Section = Section()
    git: GitSection | None = None
    model: Section = Section()
    data: DataSection = DataSection()
    loader: Section = Section()
    tracker: dict[str, Section] = {}
    distribute: Section = Section()
    network: NetworkSection = NetworkSection()
    digests: Section = Section()
    results: dict[str, ResultSection] = {}
    verified: Section = Section()
    seconds: dict[str, float] = {}


ABSENT: dict[str, Any] = {"versions": {}, "data": {}, "results": {}, "resumed": [], "git": None, "digests": {}}
"""Sections that a reader may expect, where a record lacks them."""


def read_document(path: Path) -> dict[str, Any]:
    """The content of the run.json at `path`, with all sections of `ABSENT`.

    Raises `RunnerError`, naming the file, if it is missing, damaged or not the record of a run.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise RunnerError(f"{path} is not the record of a run: it has {format_bytes(size)}")
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RunnerError(f"{path} does not exist; give the folder of a run, such as outputs/latest") from error
    except OSError as error:
        raise RunnerError(f"cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise RunnerError(f"{path} is damaged: it is nested too deeply") from error
    except ValueError as error:
        raise RunnerError(f"{path} is damaged: it is not valid JSON: {error}") from error
    if not isinstance(document, dict) or "status" not in document:
        raise RunnerError(f"{path} is not the record of a run: it has no status")
    if is_deeper(document, MOST_DEPTH):
        raise RunnerError(f"{path} is damaged: it is nested too deeply")
    try:
        RunDocument.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise RunnerError(f"{path} is damaged: {key}: {first['msg'].lower()}") from error
    return document | {name: value for name, value in ABSENT.items() if name not in document}


def is_deeper(document: Any, most: int) -> bool:
    """Whether values are nested more than `most` levels deep.

    >>> is_deeper({"a": [1]}, 2), is_deeper({"a": [[1]]}, 2)
    (False, True)
    """
    level = [document]
    for _ in range(most + 1):
        inner = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [value for values in inner for value in values]
        if not level:
            return False
    return True
