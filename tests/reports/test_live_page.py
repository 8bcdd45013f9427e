"""A page that is drawn again and again, seldom enough, until its run or sweep ends."""

import threading
from types import SimpleNamespace

import pytest

from runner.commands.sweep_folder import live_page
from runner.modes.run import _drawing
from runner.reports import live_page as module
from runner.reports.live_page import LivePage
from runner.sweeps.sweep_plan import SWEEP_JSON


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(module, "PAGE_SECONDS", 0.01)


def is_drawing():
    return any(thread.name == "page" for thread in threading.enumerate())


def test_page_is_drawn_until_it_is_closed():
    drawn = threading.Semaphore(0)
    live = LivePage(drawn.release)
    assert all(drawn.acquire(timeout=20) for _ in range(4))
    live.close()
    live.close()  # does nothing
    assert not is_drawing()


def test_page_that_cannot_be_drawn_is_tried_again():
    tried = threading.Semaphore(0)

    def draw():
        tried.release()
        raise OSError("no space left")

    live = LivePage(draw)
    assert all(tried.acquire(timeout=20) for _ in range(3))
    live.close()


def test_slow_page_is_drawn_less_often(monkeypatch):
    pauses, readings = [], iter([0.0, 10.0, 10.5, 20.0, 20.00001])

    class Ended:
        def set(self):
            pass

        def wait(self, seconds):
            pauses.append(seconds)
            return len(pauses) > 3

    monkeypatch.setattr(module, "threading", SimpleNamespace(Event=Ended, Thread=threading.Thread))
    monkeypatch.setattr(module, "time", SimpleNamespace(thread_time=lambda: next(readings)))
    LivePage(lambda: None).close()
    assert pauses == [0.01, 0.01, pytest.approx(50.0), 0.01]


@pytest.fixture
def drawn(monkeypatch):
    folders = []
    monkeypatch.setattr("runner.modes.run.write_report", lambda folder, **_: folders.append(folder))
    return folders


def await_a_page(drawn):
    done = threading.Event()
    while not drawn and not done.wait(0.01):
        pass


def test_page_is_drawn_once_the_record_is_written(tmp_path, drawn):
    record = SimpleNamespace(path=tmp_path, is_held=True)
    with _drawing(SimpleNamespace(mode="fit"), record):
        assert not threading.Event().wait(0.1)
        assert drawn == []
        record.is_held = False
        await_a_page(drawn)
    assert set(drawn) == {tmp_path}
    assert not is_drawing()


@pytest.mark.parametrize(("mode", "is_job"), [("check", False), ("fit", True)])
def test_job_and_reading_mode_draw_no_page(mode, is_job, tmp_path, drawn):
    if is_job:
        (tmp_path / SWEEP_JSON).touch()
    with _drawing(SimpleNamespace(mode=mode), SimpleNamespace(path=tmp_path / "0", is_held=False)):
        assert not is_drawing()


def test_sweep_has_its_page_while_it_runs(write_sweep, tmp_path):
    folder = write_sweep(tmp_path / "sweep")
    page = folder / "report.html"
    page.unlink(missing_ok=True)
    with live_page(folder):
        while not page.exists():
            threading.Event().wait(0.01)
    assert "Sweep sweep" in page.read_text()
