"""The page in a browser: drawn, sorted and enlarged by the keyboard, silent, and alone."""

import shutil

import pytest

from runner.reports.sweep_page import write_sweep_report
from runner.sweeps.results import read_results

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def enlarges(page):
    """Whether a chart fills the window once Enter is pressed on it; Escape gives the page and its focus back."""
    chart, dialog = page.locator("figure.chart .enlarge").first, page.locator("dialog.enlarged")
    small = chart.locator("svg").bounding_box()
    chart.focus()
    page.keyboard.press("Enter")
    large = dialog.locator("svg").bounding_box()
    assert dialog.get_attribute("aria-label") == chart.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert chart.evaluate("each => each === document.activeElement")
    return large["height"] > 2 * small["height"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_page_in_a_browser(digits):
    said, asked = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((digits / "report.html").as_uri())

        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.locator("figure.chart svg").first.bounding_box()["height"] > 100
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"

        table = page.locator("[aria-label='Scores per class'] table")
        heading = table.locator("th", has_text="recall")
        column = table.locator("tbody tr td:nth-of-type(2)")
        for expected in ("ascending", "descending"):
            heading.locator("button").focus()
            page.keyboard.press("Enter")
            values = [float(text.removesuffix("%")) for text in column.all_inner_texts()]
            assert heading.get_attribute("aria-sort") == expected
            assert values == sorted(values, reverse=expected == "descending")
        assert enlarges(page)
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(digits / "report.html").as_uri()]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_page_of_a_sweep_in_a_browser(write_sweep, tmp_path):
    said, asked = [], []
    file = write_sweep_report(read_results(write_sweep(tmp_path / "sweep")))
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme, paper in (("light", "rgb(253, 253, 252)"), ("dark", "rgb(21, 23, 26)")):
            page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
            assert page.locator("figure.chart svg").first.bounding_box()["height"] > 100

        table = page.locator("[aria-label='Jobs of the sweep'] table")
        heading, losses = table.locator("th", has_text="val_loss"), table.locator("tbody tr td:nth-of-type(5)")
        assert heading.get_attribute("aria-sort") == "ascending"
        heading.locator("button").focus()
        page.keyboard.press("Enter")
        values = [float(text) for text in losses.all_inner_texts() if text != "–"]
        assert heading.get_attribute("aria-sort") == "descending"
        assert values == sorted(values, reverse=True)

        memory = table.locator("th", has_text="peak MB")
        assert "memory" in memory.get_attribute("title")
        memory.locator("button").click()
        sizes = [float(text) for text in table.locator("tbody tr td:nth-of-type(11)").all_inner_texts() if text != "–"]
        assert sizes == sorted(sizes) and len(set(sizes)) == 2
        table.locator("xpath=..").evaluate("scrolling => { scrolling.scrollLeft = 330; }")
        assert table.locator("tbody th").first.bounding_box()["x"] >= 0  # the job stays in sight
        assert page.evaluate("document.documentElement.scrollWidth") == 390

        assert enlarges(page)
        page.get_by_label("Filter jobs").fill("Generator failed")
        assert page.locator(".filter output").inner_text() == "1 of 13"
        assert table.locator("tbody tr:visible th").all_inner_texts() == ["11"]
        page.get_by_label("Filter jobs").fill("")
        assert table.locator("tbody tr:visible").count() == 13

        table.get_by_role("link", name="8", exact=True).click()
        assert page.title() == "a job"
        browser.close()
    assert said == []
    pages = {file.as_uri(), (file.parent / "8/report.html").as_uri()}
    assert {url for url in asked if not url.startswith("data:")} == pages
