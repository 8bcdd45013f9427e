"""The page in a browser: drawn, sorted by the keyboard, silent, and alone."""

import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


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
            values = [float(text.removesuffix(" %")) for text in column.all_inner_texts()]
            assert heading.get_attribute("aria-sort") == expected
            assert values == sorted(values, reverse=expected == "descending")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(digits / "report.html").as_uri()]
