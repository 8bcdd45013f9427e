"""trace.json: what Perfetto opens."""

import json

import pytest

from runner.errors import RunnerError
from runner.records.trace import Lane, Span, read_trace, write_trace

LANES = [
    Lane("model", [Span("wait", 5_000_000, 5_250_500, {"step": 1}), Span("train", 5_250_500, 9_000_000, {"step": 1})]),
    Lane("worker 1", [Span("prepare", 5_000_001, 5_200_000, {"samples": 8, "fetch_ms": 0.1})]),
]


def test_trace_has_complete_events_and_threads(tmp_path):
    write_trace(tmp_path, LANES)
    document = json.loads((tmp_path / "trace.json").read_text())
    events = document["traceEvents"]
    assert document["displayTimeUnit"] == "ms"
    assert [event["args"]["name"] for event in events if event["ph"] == "M"] == ["model", "worker 1"]
    assert {event["name"] for event in events if event["ph"] == "M"} == {"thread_name"}
    wait, train, prepare = (event for event in events if event["ph"] == "X")
    assert wait == {"ph": "X", "name": "wait", "pid": 1, "tid": 0, "ts": 0.0, "dur": 250.5, "args": {"step": 1}}
    assert train["ts"] == wait["ts"] + wait["dur"]
    assert (prepare["tid"], prepare["ts"], prepare["dur"]) == (1, 0.001, 199.999)


def test_trace_reads_back_from_zero(tmp_path):
    write_trace(tmp_path, LANES)
    expected = [
        Lane(lane.name, [Span(s.name, s.begin - 5_000_000, s.end - 5_000_000, s.details) for s in lane.spans])
        for lane in LANES
    ]
    assert read_trace(tmp_path) == expected


def test_trace_takes_the_place_of_an_earlier_one(tmp_path):
    write_trace(tmp_path, LANES)
    write_trace(tmp_path, LANES[:1])
    assert [lane.name for lane in read_trace(tmp_path)] == ["model"]


def test_folder_without_a_trace_has_no_lanes(tmp_path):
    assert read_trace(tmp_path) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"traceEvents": [{"ph": "X", "tid": 0}]}'])
def test_damaged_trace_is_refused_by_its_path(tmp_path, text):
    (tmp_path / "trace.json").write_text(text)
    with pytest.raises(RunnerError, match=r"trace.json cannot be read as a trace"):
        read_trace(tmp_path)
