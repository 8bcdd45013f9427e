"""trace.json: a timeline of threads and processes, in the trace-event format of Perfetto and chrome://tracing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.records.files import write_atomically

TRACE_JSON = "trace.json"
PROCESS = 1

MODEL, WAIT, TRAIN, PREPARE = "model", "wait", "train", "prepare"
"""The lane of the training thread, and names of spans."""


@dataclass(frozen=True)
class Span:
    """Work that lasted from `begin` to `end`, in nanoseconds of one clock, with further details."""

    name: str
    begin: int
    end: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lane:
    """The spans of one thread or process; a span within another is part of it."""

    name: str
    spans: Sequence[Span]


def write_trace(folder: Path, lanes: Sequence[Lane]) -> None:
    """Write the lanes to trace.json; time starts at the first span. An earlier file is replaced."""
    zero = min((span.begin for lane in lanes for span in lane.spans), default=0)
    events = [
        {"ph": "M", "name": "thread_name", "pid": PROCESS, "tid": number, "args": {"name": lane.name}}
        for number, lane in enumerate(lanes)
    ]
    events += [_event(span, number, zero) for number, lane in enumerate(lanes) for span in lane.spans]
    text = json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, allow_nan=False)
    write_atomically(folder / TRACE_JSON, f"{text}\n", overwrite=True)


def _event(span: Span, number: int, zero: int) -> dict[str, Any]:
    times = {"ts": (span.begin - zero) / 1e3, "dur": (span.end - span.begin) / 1e3}
    return {"ph": "X", "name": span.name, "pid": PROCESS, "tid": number, **times, "args": dict(span.details)}


def read_trace(folder: Path) -> list[Lane]:
    """The lanes of a run's trace.json; empty if there is no such file.

    Raises `RunnerError` if it cannot be read.
    """
    path = folder / TRACE_JSON
    if not path.exists():
        return []
    try:
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
        names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
        spans = [(event["tid"], _span(event)) for event in events if event["ph"] == "X"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunnerError(f"{path} cannot be read as a trace: {error}") from error
    return [Lane(name, [span for lane, span in spans if lane == tid]) for tid, name in names.items()]


def _span(event: Mapping[str, Any]) -> Span:
    begin = round(event["ts"] * 1e3)
    return Span(event["name"], begin, begin + round(event["dur"] * 1e3), event["args"])
