"""The page of each kind of run in a browser: wide, on a phone in the dark, and on paper, nothing sticks out."""

import numpy as np
import pytest

from runner import compose
from runner.errors import TrainingError
from runner.modes.run import run
from runner.records.metrics import MetricsTable
from runner.records.record import RunRecord
from runner.reports.page import write_report
from tests.support.masks import discs, write_discs

pytestmark = pytest.mark.usefixtures("eager")

VIEWS = [(1400, "light", "screen"), (390, "dark", "screen"), (720, "light", "print")]
"""Width in pixels, colours and medium."""


@pytest.fixture
def failed(digits_root, tmp_path):
    with pytest.raises(TrainingError):
        run(compose([f"data.root={digits_root}", "train.learning_rate=1e30", "model=mlp"]), folder=tmp_path)
    return tmp_path


@pytest.fixture
def interrupted(tmp_path):
    record, metrics = RunRecord.open(tmp_path, backend="jax"), MetricsTable(tmp_path)
    for epoch in range(1, 4):
        metrics.append(epoch, {"loss": 1 / epoch, "val_loss": 2 / epoch, "seconds": 1})
    record.close("interrupted", KeyboardInterrupt())
    write_report(tmp_path)
    return tmp_path


@pytest.fixture
def heads(started, table):
    return started(*table, "data.class_mode={bi: binary, multi: categorical, tags: multi_label, brightness: raw}")


@pytest.fixture
def masks(started, tmp_path):
    keys = discs(write_discs(tmp_path, 20), "data.test_split=0.2", "model=unet", "model.depth=1", "model.filters=4")
    return started(*keys)


@pytest.fixture
def classes(started, tmp_path):
    """A hundred classes."""
    codes = np.tile(np.arange(100), 4)
    names = np.array([f"kind {code:02}" for code in codes])
    np.savez(tmp_path / "a.npz", x=np.repeat(codes, 16).reshape(-1, 4, 4, 1).astype(np.uint8), y=names)
    return started("data=arrays", f"data.path={tmp_path / 'a.npz'}", "data.test_split=0.25", "model=mlp")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("failed", "failed during fit"),
        ("interrupted", "Stopped by Ctrl-C"),
        ("heads", "Predictions: brightness"),
        ("masks", "IoU"),
        ("classes", "kind 99"),
    ],
)
def test_page_fits_each_view(kind, expected, opened, request):
    file = request.getfixturevalue(kind) / "report.html"
    for width, colours, medium in VIEWS:
        page = opened(file, width, colours)
        page.emulate_media(media=medium)
        if medium == "print":
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert expected in page.content()
        for chart in page.locator("figure.chart .plot svg:visible").all():
            assert chart.bounding_box()["width"] > 100
