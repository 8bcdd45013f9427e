"""The page of all runs: what it shows, how it grows, and that it never harms a run."""

import fcntl
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from runner.errors import ConfigurationError
from runner.records.run_folder import RunFolder
from runner.records.run_names import all_runs
from runner.records.summary import read_summary, summarize
from runner.reports import index_page
from runner.reports.index_data import comparison
from runner.reports.index_page import alone, refresh_index, render_index, write_index
from runner.runs.__main__ import execute
from tests.support.run_store import make, root, store  # noqa: F401

HOSTILE = "</script><img src=x>"


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def rows_of(text):
    return re.findall(r'<tr><th scope="row"><input type="checkbox".*', text)


def test_index_lists_every_run_newest_first(store):  # noqa: F811
    text = write_index(store).read_text()
    names = [re.search(r'aria-label="Compare (.*?)"', row)[1] for row in rows_of(text)]
    assert names == [run.name for run in reversed(all_runs(store))]
    assert "8 runs below" in text and "4 completed" in text and "1 killed" in text
    assert '<th scope="row">2026-01-03_00-00-00_cccccc</th><td class="n">2</td><td>2 completed</td>' in text
    summaries = [read_summary(run.path) for run in all_runs(store)]
    assert None not in summaries  # old runs, and those that were killed, have one from now on


def test_index_links_pages_that_there_are(store):  # noqa: F811
    drawn = store / "runs" / "2026-01-01_00-00-00_aaaaaa"
    (drawn / "report.html").write_text("a page")
    text = render_index(store)
    assert re.findall(r'<a href="(runs.*?)"', text) == [f"runs/{drawn.name}/report.html"]
    assert "This command draws one: <code>python -m runner.report 2026-01-0" in text


def test_data_have_what_differs_for_each_run(make, root):  # noqa: F811
    make("2026-01-01_00-00-00_aaaaaa", losses=[1 / (1 + epoch) for epoch in range(100)])
    make("2026-01-02_00-00-00_bbbbbb", loader="generator", seed=3, losses=(0.9, float("nan"), 0.4))
    data = data_of(render_index(root))
    keys = {key: [values[place] for place in places] for key, values, places in data["keys"]}
    assert keys == {"seed": ["3", "0"], "loader.kind": ["generator", "sequence"], "train.epochs": ["3", "100"]}
    results = {key: (goal, values) for key, goal, values in data["results"]}
    assert results["best loss"] == ("min", ["0.4", "0.01"])
    assert results["evaluate.accuracy"] == ("max", ["0.9", "0.9"])
    curves = dict(data["curves"])
    assert curves["loss"][0] == "0.9  0.4"
    assert len(curves["loss"][1].split()) == len(data["grids"][data["grid"][1]])
    assert data["grids"][data["grid"][1]][-2:] == [99, 100]


def test_index_escapes_what_runs_say(make, root):  # noqa: F811
    make("2026-01-01_00-00-00_aaaaaa", more={"name": HOSTILE, "note": HOSTILE, "model": {"kind": HOSTILE}})
    make("2026-01-02_00-00-00_bbbbbb")
    text = render_index(root)
    assert HOSTILE not in text and text.count("<img") == 0
    assert data_of(text)["names"][1] == HOSTILE


def test_thousand_runs_take_one_and_a_half_mb(make, root):  # noqa: F811
    losses = [1 / (1 + epoch) + 1e-7 for epoch in range(300)]
    model = {"kind": "cnn", **{f"key_{number}": number for number in range(60)}}
    run = summarize(RunFolder(make("2026-01-01_00-00-00_aaaaaa", losses=losses, more={"model": model})), write=False)
    data = comparison([run] * 1000)
    assert len(json.dumps(data)) < 750_000
    (row,) = rows_of(render_index(root))
    assert len(row) < 500  # with the library and the style, 0.3 MB, less than 1.5 MB


def test_more_runs_than_fit_are_named(store, monkeypatch):  # noqa: F811
    monkeypatch.setattr(index_page, "MOST_RUNS", 3)
    text = render_index(store)
    assert len(rows_of(text)) == 3
    assert "5 older: <code>python -m runner.runs list</code> has all" in text


def test_end_of_a_run_draws_the_index(make, root, monkeypatch):  # noqa: F811
    folder = make("2026-01-01_00-00-00_aaaaaa")
    assert refresh_index(folder) is None
    assert (root / "index.html").exists()
    (root / "index.html").unlink()
    (root / "index.html").mkdir()
    assert refresh_index(folder).startswith("cannot write index.html: RunnerError: cannot write ")
    monkeypatch.setattr(index_page, "write_index", None)
    assert refresh_index(make("2026-01-02_00-00-00_bbbbbb/0")) is None  # a job: its sweep draws the page
    assert refresh_index(make("chosen")) is None  # a folder that a program chose


def test_many_ends_at_once_lose_no_run(root, make):  # noqa: F811
    names = [f"2026-01-01_00-00-00_{number:06x}" for number in range(6)]

    def end(name):
        refresh_index(make(name))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(end, names))
    assert all(name in (root / "index.html").read_text() for name in names)


def test_second_process_waits_for_its_turn(tmp_path):
    def draw():
        with alone(tmp_path / "lock") as is_turn:
            return is_turn

    with ThreadPoolExecutor(1) as pool, alone(tmp_path / "lock") as is_turn:
        waiting = pool.submit(draw)
        assert is_turn
    assert waiting.result() is True


def test_third_process_leaves_it_to_the_second(tmp_path):
    with alone(tmp_path / "lock"), (tmp_path / "lock.next").open("ab") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        with alone(tmp_path / "lock") as is_turn:
            assert not is_turn


def test_turn_that_never_ends_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(index_page, "LONGEST_SECONDS", 0.0)
    with alone(tmp_path / "lock"), alone(tmp_path / "lock") as is_turn:
        assert not is_turn
    with alone(tmp_path / "nowhere" / "lock") as is_turn:
        assert is_turn  # a folder without locks


def test_runs_page_draws_the_index_again(store, capsys):  # noqa: F811
    assert execute(["page"]) == 0
    assert capsys.readouterr().out == "page      outputs/index.html\n"
    assert (store / "index.html").exists()
    execute(["clean", "yes=true"])
    assert "dddddd" not in (store / "index.html").read_text()  # of the runs that are left
    with pytest.raises(ConfigurationError, match="page takes no conditions, got seed"):
        execute(["page", "seed=1"])
