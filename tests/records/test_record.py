"""run.json while a run runs."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from runner.errors import DataError, RunnerError
from runner.records.record import RunRecord


@pytest.fixture
def record(tmp_path):
    record = RunRecord.open(tmp_path, backend="jax", argv=["data=digits"], seeds={"seed": 3})
    yield record
    record.close("completed")


def on_disk(record):
    return json.loads((record.path / "run.json").read_text())


def test_record_begins_with_all_that_is_known(record):
    document = on_disk(record)
    assert document["status"] == "running"
    assert document["argv"] == ["data=digits"]
    assert document["seeds"] == {"seed": 3}
    assert document["backend"] == "jax"
    assert {"host", "boot_id", "pid"} <= set(document["process"])
    assert document["versions"]["numpy"] == np.__version__
    assert document["machine"]["memory_bytes"] > 0
    assert record.document == document


def test_record_keeps_its_sections_in_order(record):
    before = list(on_disk(record))
    record.update(results={"fit": {"loss": 0.5}}, data={"num_samples": {"train": 8}})
    assert list(on_disk(record)) == before
    assert before[:3] == ["status", "stage", "error"]
    assert before[-3:] == ["results", "verified", "seconds"]


def test_record_times_are_utc_with_offset(record):
    record.close("completed")
    document = on_disk(record)
    started, finished = (datetime.fromisoformat(document[k]) for k in ("started", "finished"))
    assert started.utcoffset() == timedelta(0)
    assert started <= finished


def test_update_adds_to_a_section(record):
    record.update(results={"fit": {"loss": np.float32(0.5)}})
    record.update(results={"evaluate": {"loss": float("nan")}}, foreign_files=[Path("conf/a.yaml")])
    document = on_disk(record)
    assert document["results"] == {"fit": {"loss": 0.5}, "evaluate": {"loss": "nan"}}
    assert document["foreign_files"] == ["conf/a.yaml"]


@pytest.mark.parametrize("section", ["result", "status"])
def test_update_refuses_unknown_sections(record, section):
    before = on_disk(record)
    with pytest.raises(TypeError, match=rf"no section {section} to update; its sections are argv, .*seconds"):
        record.update(**{section: "failed"})
    assert on_disk(record) == before


def test_update_may_come_from_many_threads(record):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: record.update(results={str(n): n}), range(40)))
    assert on_disk(record)["results"] == {str(n): n for n in range(40)}


def test_document_is_a_copy(record):
    record.document["seeds"]["seed"] = 99
    assert record.document["seeds"] == {"seed": 3}


def test_stage_is_named_and_timed(record):
    record.update(seconds={"fit": 100.0})
    with record.stage("fit"):
        assert on_disk(record)["stage"] == "fit"
        with record.stage("evaluate"):
            assert on_disk(record)["stage"] == "evaluate"
        assert on_disk(record)["stage"] == "fit"
    document = on_disk(record)
    assert document["stage"] is None
    assert 100 <= document["seconds"]["fit"] < 110
    assert document["seconds"]["evaluate"] >= 0


def test_stage_that_fails_stays_named_and_timed(record):
    with pytest.raises(KeyboardInterrupt), record.stage("fit"):
        raise KeyboardInterrupt
    record.close("interrupted")
    document = on_disk(record)
    assert (document["status"], document["stage"]) == ("interrupted", "fit")
    assert "fit" in document["seconds"]


def test_close_keeps_the_error(record):
    record.close("failed", DataError("photos: no images"))
    document = on_disk(record)
    assert document["status"] == "failed"
    assert document["error"] == {"type": "DataError", "message": "photos: no images"}
    assert document["seconds"]["total"] >= 0


def test_close_counts_once(record):
    record.close("failed", ValueError("first"))
    before = on_disk(record)
    record.close("completed")
    assert on_disk(record) == before


def test_close_ends_the_log(record):
    logging.getLogger("runner").info("before")
    record.close("completed")
    logging.getLogger("runner").info("after")
    text = (record.path / "run.log").read_text()
    assert "before" in text
    assert "after" not in text


def test_open_does_not_overwrite_a_record(record):
    handlers = list(logging.getLogger("runner").handlers)
    with pytest.raises(RunnerError, match=r"run\.json already exists"):
        RunRecord.open(record.path, backend="jax")
    assert logging.getLogger("runner").handlers == handlers


def test_second_resume_at_once_is_refused(record):
    record.close("interrupted")
    first, second = (RunRecord.reopen(record.path, on_disk(record)) for _ in range(2))
    first.begin()
    before = on_disk(record)
    with pytest.raises(RunnerError, match="another process has resumed .* in the meantime; wait until it ends"):
        second.begin()
    second.close("failed")
    assert on_disk(record) == before
    first.close("completed")
