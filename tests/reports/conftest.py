"""Real runs, whose pages are read."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import product

import numpy as np
import pytest
from PIL import Image

from runner import compose
from runner.modes.run import run
from runner.records.config_yaml import write_config
from runner.records.metrics import MetricsTable
from runner.records.record import RunRecord
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan

QUICK = ["train.epochs=2", "loader.workers=2"]
HOSTILE = "<script>alert(1)</script>"
"""The name of a class of `table`."""


class Page(HTMLParser):
    """A page as its text, its elements with their attributes, and its tables as lists of rows."""

    def __init__(self, html):
        super().__init__()
        self.text, self.elements, self.tables, self._silent = "", [], {}, False
        self._title = self._cell = None
        self.script_texts, self.captions, self._caption = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._silent = tag in ("script", "style")
        if tag in ("h2", "h3"):
            self._title = ""
        if tag == "script":
            self.script_texts.append((dict(attributes), ""))
        if tag == "b" and self.elements[-2][0] == "figcaption":
            self._caption = self.elements[-3][1].get("class") == "chart"
        if tag == "table":
            self.tables[self._title.strip()] = []
        if tag == "tr":
            list(self.tables.values())[-1].append([])
        if tag in ("td", "th"):
            self._cell = list(self.tables.values())[-1][-1]
            self._cell.append("")

    def handle_endtag(self, tag):
        self._silent = False
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data):
        if self._silent:
            if self.elements[-1][0] == "script":
                self.script_texts[-1] = (self.script_texts[-1][0], self.script_texts[-1][1] + data)
            return
        if self._caption:
            self.captions.append(data)
            self._caption = False
        self.text += f" {data}"
        if self._cell is not None:
            self._cell[-1] += data.strip()
        elif self._title is not None:
            self._title = data if self._title == "" else self._title

    @property
    def scripts(self):
        """The texts of the scripts that a browser runs."""
        return [text for attributes, text in self.script_texts if "type" not in attributes]

    @property
    def charts(self):
        """What the charts are drawn from, by title."""
        data = [
            json.loads(text) for attributes, text in self.script_texts if attributes == {"type": "application/json"}
        ]
        return dict(zip(self.captions, data, strict=True))

    def of(self, tag, **attributes):
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


@pytest.fixture(scope="session")
def read():
    """Reads the page of a run, its white space as one sees it."""

    def read(folder):
        page = Page((folder / "report.html").read_text(encoding="utf-8"))
        page.text = re.sub(r"\s+", " ", page.text)
        return page

    return read


@pytest.fixture(scope="session")
def started(tmp_path_factory):
    """Makes a run in a folder of its own, with one row of system.csv, however long it takes; its folder."""

    def start(*overrides):
        folder = tmp_path_factory.mktemp("run")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("runner.records.system_table.SHORTEST_SECONDS", 3600.0)
            run(compose([*QUICK, *overrides]), folder=folder)
        return folder

    return start


@pytest.fixture(scope="session")
def digits(started, digits_root):
    """A run over the digits that has learnt something, and not everything."""
    return started(f"data.root={digits_root}", "data.class_mode=sparse", "model.filters=[8]")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Small images of three shades, one of them with a hostile name, and a table of all that can be said of them."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    with (root / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "bi", "multi", "tags", "brightness", "part"])
        for number in range(90):
            shade = number % 3
            pixels = (80 * shade + rng.integers(0, 60, (6, 6))).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"{number}.png")
            tags = "|".join(name for name, has in (("dark", shade < 2), ("odd", shade % 2)) if has)
            names = ("a&b", "b", HOSTILE)
            part = ("train", "train", "train", "validation", "test")[number // 3 % 5]
            rows.writerow([f"{number}.png", shade > 1, names[shade], tags or "[]", pixels.mean() / 255, part])
    return [
        "data=dataframe", f"data.manifest={root}/table.csv", "data.split_column=part", "data.target_size=[6,6]",
        "data.color_mode=grayscale", "model=mlp", "model.hidden_units=[8]",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens a file in a page of some width; fails at the end if a page said or loaded anything else."""
    said, asked, files, pages = [], [], set(), []

    def open_page(file, width=390, scheme="light", clock=None, touched=False):
        viewport = {"width": width, "height": 800}
        page = browser.new_page(viewport=viewport, color_scheme=scheme, has_touch=touched, is_mobile=touched)
        if clock is not None:
            page.clock.install(time=clock)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        files.add(file.as_uri())
        pages.append(page)
        return page

    open_page.files = files
    yield open_page
    for page in pages:
        page.close()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == files


@pytest.fixture(scope="session")
def write_sweep():
    """Writes a sweep as its jobs leave it, by the very writers runs use; its folder."""
    return _write_sweep


def _write_sweep(folder, *, rates=(0.001, 0.01, 0.1), loaders=("sequence", "generator"), seeds=(0, 1), **plan):
    """A job per learning rate, loader and seed: the last one failed, another is waiting, a third equals the first."""
    varied = [
        {"train.learning_rate": rate, "loader": loader, "seed": seed}
        for rate, loader, seed in product(rates, loaders, seeds)
    ]
    jobs = [PlannedJob(number, (), values) for number, values in enumerate(varied)]
    jobs.append(PlannedJob(len(jobs), (), {**varied[0], "seed": 99}))
    jobs.append(PlannedJob(len(jobs), (), varied[0], same_as=0))
    folder.mkdir(parents=True)
    for number, values in enumerate(varied):
        _write_job(folder / str(number), values, failed=number == len(varied) - 1)
    SweepPlan(folder, ("-m", "seed=0,1", "data.root=a b"), tuple(varied[0]), tuple(jobs), **plan).write()
    return folder


def _write_job(folder, values, *, failed):
    rate, seed, loader = values["train.learning_rate"], values["seed"], values["loader"]
    folder.mkdir()
    train = {"learning_rate": rate, "monitor": "auto"}
    write_config(folder, {"seed": seed, "loader": {"kind": loader}, "train": train})
    record = RunRecord.open(folder, backend="tensorflow", loader={"kind": loader})
    table = MetricsTable(folder)
    for epoch in range(1, 3 if failed else 7):
        loss = 2.3 / (1 + 40 * rate * epoch) + 0.05 * seed + 2 * rate
        speed = 2000 + 500 * len(loader) + 30 * seed
        row = {"loss": loss, "accuracy": 1 / (1 + loss), "val_loss": 1.1 * loss, "val_accuracy": 0.9 / (1 + loss)}
        table.append(epoch, {**row, "seconds": 1.5, "images_per_second": speed, "wait_share": 0.2 / len(loader)})
    if not failed:
        results = {"evaluate": {"split": "test", "accuracy": 0.88 / (1 + loss), "loss": 1.2 * loss}}
        took = {"cpu_seconds": 41.5 + seed, "peak_memory_bytes": 812_345_678 + 10**6 * len(loader)}
        results["fit"] = {**took, "wait": {"share": 0.02, "first_batch_seconds": 0.0312}}
        record.update(results=results, digests={"ids": "1" * 64, "weights": f"{seed + int(rate * 1000) * 8:064x}"})
        (folder / "report.html").write_text("<title>a job</title>")
    record.close("failed" if failed else "completed", ValueError(f"no {HOSTILE} left") if failed else None)
