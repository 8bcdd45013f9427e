"""The page of all runs: what it shows, how it grows, and that it never harms a run."""

import fcntl
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from runner.errors import ConfigurationError
from runner.records.metrics import MetricsTable
from runner.records.run_folder import RunFolder
from runner.records.run_names import all_runs
from runner.records.summary import read_summary, summarize
from runner.reports import index_page, index_rows
from runner.reports.index_data import Shared, common_keys, facts_of, layout_of, line_of
from runner.reports.index_page import alone, refresh_index, render_index, write_index
from runner.runs.__main__ import execute
from tests.support.run_store import make, root, store  # noqa: F401

HOSTILE = "</script><img src=x>"


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def rows_of(text):
    return re.findall(r'<tr><th scope="row">.*', text.partition("</table>")[0])


def test_index_lists_every_run_newest_first(store):  # noqa: F811
    text = write_index(store).read_text()
    names = [re.search(r'<th scope="row">(?:<a [^>]*>)?([^<]*)', row)[1] for row in rows_of(text)]
    assert names == [run.name for run in reversed(all_runs(store))]
    assert "8 runs below" in text and "4 completed" in text and "1 killed" in text
    assert '<th scope="row">2026-01-03_00-00-00_cccccc</th><td class="n">2</td><td>2 completed</td>' in text
    summaries = [read_summary(run.path) for run in all_runs(store)]
    assert None not in summaries  # old runs, and those that were killed, have one from now on


def test_numbers_that_were_set_are_short(make, root):  # noqa: F811
    folder = make("2026-01-01_00-00-00_aaaaaa")
    document = json.loads((folder / "run.json").read_text())
    document["overrides"] = ["train.learning_rate=0.0005089244725302028", "data.root=v0.123456"]
    (folder / "run.json").write_text(json.dumps(document))
    (row,) = rows_of(text := render_index(root))
    typed = re.search(r'<td class="name setting" title="(.*?)">(.*?)<td', text)
    assert row and typed[1] == "train.learning_rate=0.0005089244725302028 data.root=v0.123456"
    assert typed[2] == "train.learning_rate=0.0005089 data.root=v0.123456"


def test_index_links_pages_that_there_are(store):  # noqa: F811
    drawn = store / "runs" / "2026-01-01_00-00-00_aaaaaa"
    (drawn / "report.html").write_text("a page")
    text = render_index(store)
    assert re.findall(r'<a href="(runs.*?)"', text) == [f"runs/{drawn.name}/report.html"]
    assert "This command draws one: <code>python -m runner.report 2026-01-0" in text


def test_data_have_what_differs_for_each_run(make, root):  # noqa: F811
    make("2026-01-01_00-00-00_aaaaaa", losses=[1 / (1 + epoch) for epoch in range(100)], more={"data": {"limit": None}})
    unset = {"data": {"masks": None, "mask_suffix": ""}}  # keys that the other run does not have
    make("2026-01-02_00-00-00_bbbbbb", loader="generator", seed=3, losses=(0.9, float("nan"), 0.4), more=unset)
    data = data_of(render_index(root))
    second, first = data["runs"]
    differing = {"seed", "loader.kind", "train.epochs"}
    assert {**second["keys"], **first["keys"]}.keys() == differing
    of_second, of_first = ({**data["common"], **run["keys"]} for run in (second, first))
    assert {key: of_second[key] for key in differing} == {"seed": "3", "loader.kind": "generator", "train.epochs": "3"}
    assert {key: of_first[key] for key in differing} == {"seed": "0", "loader.kind": "sequence", "train.epochs": "100"}
    goals = dict(data["shared"][first["results"]])
    results = dict(zip(goals, first["values"], strict=True))
    assert (goals["best loss"], results["best loss"]) == ("min", "0.01")
    assert (goals["evaluate.accuracy"], results["evaluate.accuracy"]) == ("max", "0.9")
    loss = data["curves"].index("loss")
    assert second["curves"][loss] == "0.9  0.4"
    assert len(first["curves"][loss].split()) == len(data["shared"][first["epochs"]])
    assert data["shared"][first["epochs"]][-2:] == [99, 100]


@pytest.fixture
def summarized(monkeypatch):
    """The names of runs that were summarized to be drawn."""
    names = []
    real = index_rows.summarize
    monkeypatch.setattr(index_rows, "summarize", lambda run, **rest: names.append(run.name) or real(run, **rest))
    return names


def test_end_of_a_run_draws_its_row_alone(make, root, summarized):  # noqa: F811
    names = [f"2026-01-0{day}_00-00-00_aaaaaa" for day in (1, 2, 3)]
    before = [make(name) for name in names[:2]]
    render_index(root)
    summarized.clear()
    make(names[2], loader="generator")
    text = render_index(root)
    assert summarized == [names[2]]
    data, rows = data_of(text), rows_of(text)
    assert [run["name"] for run in data["runs"]] == names[::-1]
    assert all(name in row for name, row in zip(names[::-1], rows, strict=True))
    assert data["runs"][0]["keys"] == {"loader.kind": "generator"}
    summarized.clear()
    (before[0] / "report.html").write_text("a page")
    (before[1] / "metrics.csv").write_text("epoch,loss\r\n1,0.125\r\n")
    text = render_index(root)
    assert summarized == names[:2]
    assert f'href="runs/{names[0]}/report.html"' in text and "0.125" in text
    shutil.rmtree(before[1])
    assert names[1] not in render_index(root)


def test_other_columns_draw_all_rows(make, root, summarized):  # noqa: F811
    make("2026-01-01_00-00-00_aaaaaa")
    assert "best val_loss" in render_index(root)
    for number in (2, 3):
        make(f"2026-01-0{number}_00-00-00_bbbbbb", losses=(), more={"train": {"monitor": "val_iou"}})
    write_metrics = [MetricsTable(root / "runs" / f"2026-01-0{number}_00-00-00_bbbbbb") for number in (2, 3)]
    for table in write_metrics:
        table.append(1, {"val_iou": 0.75})
    summarized.clear()
    text = render_index(root)
    assert [name in text for name in (">best val_iou<", ">best val_loss<")] == [True, False]
    assert len(set(summarized)) == 3


@pytest.mark.parametrize("damage", ["", "{}", '{"version": 1, "rows": [], "layout": {}}', "[1]"])
def test_damaged_file_of_rows_is_drawn_again(store, damage):  # noqa: F811
    text = render_index(store)
    (store / index_rows.ROWS_JSON).write_text(damage)
    assert render_index(store) == text


def test_index_escapes_what_runs_say(make, root):  # noqa: F811
    make("2026-01-01_00-00-00_aaaaaa", more={"name": HOSTILE, "note": HOSTILE, "model": {"kind": HOSTILE}})
    make("2026-01-02_00-00-00_bbbbbb")
    text = render_index(root)
    assert HOSTILE not in text and text.count("<img") == 0
    assert data_of(text)["runs"][1]["title"] == HOSTILE


def test_thousand_runs_take_one_and_a_half_mb(make, root):  # noqa: F811
    losses = [1 / (1 + epoch) + 1e-7 for epoch in range(300)]
    model = {"kind": "cnn", **{f"key_{number}": number for number in range(60)}}
    folder = make("2026-01-01_00-00-00_aaaaaa", losses=losses, more={"model": model})
    (folder / "report.html").touch()
    typed = ["train.epochs=300", "train.learning_rate=0.09639946219465856", "seed=983", "model.filters=[16,32]"]
    document = json.loads((folder / "run.json").read_text()) | {"overrides": typed}
    (folder / "run.json").write_text(json.dumps(document))
    run = summarize(RunFolder(folder), write=False)
    layout = layout_of([facts_of(run)] * 1000)
    line = line_of(run, layout, common_keys([run]), Shared())
    (row,) = rows_of(text := render_index(root))
    library = len(text) - len(row) - len(line)  # and what else is there once
    assert library + 1000 * (len(row) + len(line)) < 1_400_000  # each has its own values of some keys, too


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
