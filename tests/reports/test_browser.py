"""The page in a browser: drawn, read by pointing, zoomed, sorted and enlarged by the keyboard, silent, and alone."""

import json
from datetime import datetime

import pytest

from runner.records.config_yaml import write_config
from runner.records.metrics import MetricsTable
from runner.records.record import RunRecord
from runner.records.system_table import SystemTable
from runner.reports.index_page import write_index
from runner.reports.page import write_report
from runner.reports.sweep_page import write_sweep_report
from runner.sweeps.results import read_results
from tests.support.run_files import read_rows


def await_size(page, size, fits):
    """Wait until a size fits: Playwright's own wait runs `eval` in the page, which the page forbids."""
    for _ in range(200):
        if fits(page.evaluate(size)):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"{size} is {page.evaluate(size)}")


def enlarge(page):
    """Press Enter at a chart, which fills the window; Escape gives the page and its focus back."""
    figure = page.locator("figure.chart").first
    button, dialog = figure.locator(".enlarge"), page.locator("dialog.enlarged")
    said, height = button.get_attribute("aria-label"), "document.querySelector('{} .plot svg')?.clientHeight"
    small = page.evaluate(height.format("figure.chart"))
    button.evaluate("each => { window.pressed = each; }")
    button.focus()
    page.keyboard.press("Enter")
    await_size(page, height.format("dialog"), lambda tall: tall is not None and tall > 2 * small)
    assert dialog.get_attribute("aria-label") == said
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement === window.pressed")
    await_size(page, height.format("figure.chart"), lambda back: back == small)


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """The page of a run of 40 epochs, best at epoch 30, with curves on a scale of their own."""
    folder = tmp_path_factory.mktemp("long")
    record, table = RunRecord.open(folder, backend="jax"), MetricsTable(folder)
    for epoch in range(1, 41):
        loss = 3 / epoch**2 + 0.001 * (epoch % 3)
        row = {"loss": loss, "accuracy": 1 / (1 + loss), "val_loss": loss + abs(epoch - 30) / 50}
        table.append(epoch, {**row, "seconds": 2, "wait_share": 0.1 + epoch / 100})
    record.close("completed")
    return write_report(folder)


def readings(page):
    """What stands above each chart: its epoch and the values there."""
    return [
        (figure.locator(".at").inner_text(), figure.locator(".key-value").all_inner_texts())
        for figure in page.locator("figure.chart").all()
    ]


def test_pointing_reads_all_curves_at_one_epoch(opened, long_run):
    page, rows = opened(long_run, 1400), read_rows(long_run.parent / "metrics.csv")
    assert {epoch for epoch, _ in readings(page)} == {"epoch 30 (best)"}
    box = page.locator(".plot").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    (loss, *_), *others = readings(page)
    row = rows[int(loss.removeprefix("epoch ")) - 1]
    assert 15 < int(row["epoch"]) < 25
    assert {epoch for epoch, _ in others} == {loss}
    values = [float(text.removesuffix("%")) for _, texts in readings(page) for text in texts]
    expected = [float(row[name]) for name in ("loss", "val_loss", "accuracy")] + [100 * float(row["wait_share"])]
    assert values == pytest.approx(expected, rel=1e-4)
    crosses = page.locator("path.cross").evaluate_all("all => all.map((each) => each.getAttribute('d').split('V')[0])")
    assert len(crosses) == 3 and all(crosses)


@pytest.fixture(scope="module")
def sampled_run(tmp_path_factory):
    """The page of a run of 8 epochs of 10 s, with a row of system.csv each second."""
    folder = tmp_path_factory.mktemp("sampled")
    metrics, table = MetricsTable(folder), SystemTable(folder)
    for epoch in range(1, 9):
        metrics.append(epoch, {"loss": 1 / epoch, "seconds": 10})
        for second in range(10):
            seconds = {"seconds": 10 * epoch - 9 + second, "epoch": epoch, "epoch_seconds": second + 1}
            table.append({**seconds, "step": 0, "cpu_percent": 100 + second})
    table.close()
    return write_report(folder)


def test_pointing_in_an_epoch_reads_the_nearest(opened, sampled_run):
    page = opened(sampled_run, 1400)
    charts = page.locator("figure.chart")
    assert charts.locator("figcaption b").all_inner_texts() == ["loss", "processor, with workers"]
    charts.last.scroll_into_view_if_needed()
    box = charts.last.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    (loss, (value,)), (place, (cores,)) = readings(page)
    within = float(place.removeprefix("epoch "))
    assert 3 < within < 5
    assert loss == f"epoch {round(within)}" and float(value) == pytest.approx(1 / round(within), rel=1e-3)
    assert float(cores.removesuffix(" cores")) == pytest.approx(1 + ((within * 10 - 1) % 10) / 100, abs=1e-3)


def test_keyboard_walks_through_the_epochs(opened, long_run):
    page = opened(long_run)
    page.locator(".plot").nth(1).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert {epoch for epoch, _ in readings(page)} == {"epoch 3"}
    assert page.locator("[aria-live]").inner_text() == "accuracy, training 0.75, epoch 3"


def test_tap_shows_values_and_two_fingers_scroll(opened, long_run):
    page = opened(long_run, touched=True)
    plot, touch = page.locator(".plot").first, page.context.new_cdp_session(page)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 60)
    assert {epoch for epoch, _ in readings(page)} == {"epoch 20"}
    start, middle = page.evaluate("scrollY"), box["y"] + 60
    for number in range(12):  # the second finger comes after the first
        points = [{"x": box["x"] + 80 * finger, "y": middle - 10 * number, "id": finger} for finger in (1, 2)]
        if number == 0:
            touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
        kind = "touchMove" if number else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await_size(page, "scrollY", lambda place: place > start + 50)


def labels(page):
    return page.locator(".plot").first.locator("text").all_text_contents()


def test_dragging_zooms_and_double_click_resets(opened, long_run):
    page = opened(long_run, 1400)
    before = labels(page)
    box = page.locator(".plot").first.bounding_box()
    for place, act in ((0.5, page.mouse.down), (0.7, page.mouse.up)):
        page.mouse.move(box["x"] + place * box["width"], box["y"] + 80)
        act()
    zoomed = [int(text) for text in labels(page) if text.isdecimal()]
    assert zoomed and min(zoomed) > 15 and max(zoomed) < 32
    page.mouse.dblclick(box["x"] + 300, box["y"] + 80)
    assert labels(page) == before


def test_switches_change_axes_and_lines(opened, long_run):
    page = opened(long_run)
    page.get_by_label("log axis").focus()
    page.keyboard.press("Space")
    assert {"0.01", "0.1"} <= set(labels(page))
    page.get_by_label("time in place of epochs").check()
    assert "time of training" in labels(page) and "1 min 0 s" in labels(page)
    page.get_by_label("smoothing").focus()
    page.keyboard.press("End")
    assert page.locator(".plot").first.locator("path.line.raw").count() == 2


@pytest.fixture
def running(tmp_path):
    """A run that goes on: its folder, and a function that ends an epoch and draws the page."""
    record, table = RunRecord.open(tmp_path, backend="jax"), MetricsTable(tmp_path)
    config = {f"key{number}": number for number in range(60)}
    write_config(tmp_path, {"mode": "fit", "train": {"epochs": 9}, **config})

    def end_epoch(epoch):
        table.append(epoch, {"loss": 1 / epoch, "accuracy": epoch / 10, "seconds": 2})
        return write_report(tmp_path)

    for epoch in (1, 2, 3):
        end_epoch(epoch)
    yield tmp_path, end_epoch
    record.close("completed")


def pass_time(page, seconds):
    """Let time pass on the page, where the pointer rests in a corner."""
    page.mouse.move(0, 0)
    page.clock.run_for(1000 * seconds)


def await_reload(page, seconds):
    with page.expect_event("load"):
        pass_time(page, seconds)


@pytest.fixture
def live(opened, running):
    """The page of the run that goes on, with a clock that stands still, and the function that ends an epoch."""
    folder, end_epoch = running
    page = opened(folder / "report.html", clock=datetime.now())
    return page, end_epoch


def test_page_of_a_running_run_reloads_itself(live):
    page, end_epoch = live
    assert "3 of 9 epochs" in page.locator(".subtitle").inner_text()
    page.get_by_label("log axis").check()
    page.get_by_text("All 62 keys").click()
    page.evaluate("scrollTo(0, 500)")
    end_epoch(4)
    await_reload(page, 12)
    assert "4 of 9 epochs" in page.locator(".subtitle").inner_text()
    assert page.get_by_label("log axis").is_checked()
    assert page.get_by_role("table", name="key0").or_(page.get_by_text("key59")).first.is_visible()
    assert page.evaluate("scrollY") == 500


def test_page_in_use_does_not_reload(live):
    page, _ = live
    page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    page.evaluate("window.isOld = true")
    pass_time(page, 20)
    assert page.evaluate("window.isOld")
    page.evaluate("getSelection().removeAllRanges()")
    await_reload(page, 2)


def test_silent_page_says_since_when(live):
    page, _ = live
    assert page.locator(".age").inner_text().startswith("drawn ")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    page.clock.run_for(200_000)
    assert "no sign of life since" in page.locator(".age").inner_text()
    assert "3 min ago" in page.locator(".age").inner_text()


def test_ended_page_stays_and_keeps_what_was_set(live, running):
    page, _ = live
    page.get_by_label("smoothing").fill("0.5")
    RunRecord.closed(running[0])
    document = json.loads((running[0] / "run.json").read_text())
    (running[0] / "run.json").write_text(json.dumps({**document, "status": "completed"}))
    write_report(running[0])
    await_reload(page, 12)
    assert page.locator(".age").count() == 0
    assert page.get_by_label("smoothing").input_value() == "0.5"
    assert page.locator("noscript").count() == 0


def test_page_in_a_browser(digits, opened):
    page = opened(digits / "report.html", scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("figure.chart .plot svg").first.bounding_box()["height"] > 100
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
    enlarge(page)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The page of ten runs, which differ in seed and length."""
    root = tmp_path_factory.mktemp("index")
    for number in range(10):
        folder = root / "runs" / f"2026-01-{number + 1:02d}_00-00-00_{number:06x}"
        folder.mkdir(parents=True)
        write_config(folder, {"seed": number, "loader": {"kind": "sequence"}})
        record, table = RunRecord.open(folder, backend="jax", overrides=[f"seed={number}"]), MetricsTable(folder)
        for epoch in range(1, 5 + number):
            table.append(epoch, {"loss": 1 / (epoch + number), "val_loss": 2 / (epoch + number)})
        record.close("completed")
    return write_index(root)


def test_ticked_runs_stand_side_by_side(opened, index):
    page = opened(index, 1400, "dark")
    boxes, sides = page.locator("table[data-filter] input"), page.locator("#comparison")
    assert not sides.is_visible() and not page.get_by_role("link", name="Side by side").is_visible()
    boxes.nth(0).focus()
    page.keyboard.press("Space")
    boxes.nth(2).check()
    assert sides.locator("figure.chart .plot svg").count() == 2
    assert sides.locator("figure.chart").first.locator("path.line").count() == 2
    cells = [row.locator("td").all_inner_texts() for row in sides.locator("tbody tr").all()]
    keys = dict(zip(sides.locator("tbody th").all_inner_texts(), cells))
    assert keys["seed"] == ["9", "7"] and keys["best loss"] == ["0.045455", "0.055556"]
    assert sides.locator("td.better").all_inner_texts()[:2] == ["0.045455", "0.090909"]
    sides.locator(".plot").first.scroll_into_view_if_needed()
    box = sides.locator(".plot").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "at epoch" in sides.locator(".tip").first.inner_text()
    enlarge(page)
    address = page.url
    for number in (1, 3, 4, 5, 6, 7):
        boxes.nth(number).check()
    assert boxes.nth(8).is_disabled() and boxes.nth(0).is_enabled()
    page.get_by_role("button", name="untick all").click()
    assert not sides.is_visible()
    page.goto(address)
    page.reload()
    assert sides.locator("figure.chart").first.locator("path.line").count() == 2  # the address says what is ticked


def test_index_sorts_filters_and_fits_a_phone(opened, index):
    page = opened(index)
    table = page.locator("[aria-label='Table of runs'] table")
    heading = table.locator("th", has_text="best val_loss")
    heading.locator("button").focus()
    for descending in (False, True):
        page.keyboard.press("Enter")
        values = [float(text) for text in table.locator("tbody tr td:nth-of-type(3)").all_inner_texts()]
        assert values == sorted(values, reverse=descending) and len(set(values)) == 10
    page.get_by_label("Filter runs").fill("seed=3")
    assert table.locator("tbody tr:visible").count() == 1
    table.locator("tbody tr:visible input").check()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.emulate_media(media="print")
    assert not table.locator("input").first.is_visible()
    assert table.locator("xpath=..").evaluate("each => each.scrollHeight === each.clientHeight")


PAPER = 720  # px between the margins of a letter


def test_print_fits_the_paper(opened, index, long_run, write_sweep, tmp_path):
    sweep = write_sweep_report(read_results(write_sweep(tmp_path / "sweep")))
    for file in (index, long_run, sweep):
        page = opened(file, PAPER)
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") == PAPER
        headings = "getComputedStyle(document.querySelector('thead th button')).display"
        assert page.evaluate(headings) == "contents"  # Chromium repeats no button on the next page
    assert page.locator("[aria-label='Means over seeds'] tbody tr").count() > 1  # the widest table


def test_print_draws_charts_for_their_size(opened, long_run):
    page, width = opened(long_run, 1400), "document.querySelector('.chart .plot svg').viewBox.baseVal.width"
    on_screen = page.evaluate(width)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(width) == 340 < on_screen
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(width) == on_screen


def test_page_of_a_sweep_in_a_browser(write_sweep, tmp_path, opened):
    file = write_sweep_report(read_results(write_sweep(tmp_path / "sweep")))
    for scheme, paper in (("light", "rgb(253, 253, 252)"), ("dark", "rgb(21, 23, 26)")):
        page = opened(file, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
        assert page.locator("figure.chart .plot svg").first.bounding_box()["height"] > 100

    table = page.locator("[aria-label='Jobs of the sweep'] table")
    heading, losses = table.locator("th", has_text="val_loss"), table.locator("tbody tr td:nth-of-type(5)")
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    values = [float(text) for text in losses.all_inner_texts() if text != "–"]
    assert heading.get_attribute("aria-sort") == "descending"
    assert values == sorted(values, reverse=True)

    page.set_viewport_size({"width": 1400, "height": 900})
    lines = page.locator(".parallel .lines")
    lines.scroll_into_view_if_needed()
    place = page.evaluate("""() => {
        const path = document.querySelector(".parallel path.rank1"), box = path.closest("svg").getBoundingClientRect();
        const point = path.getPointAtLength(12);
        return [box.x + point.x, box.y + point.y];
    }""")
    page.mouse.move(*place)
    assert page.locator(".parallel .tip").inner_text().startswith("job 8: val_loss 0.3212")
    assert page.locator(".parallel path.chosen").count() == 1
    page.set_viewport_size({"width": 390, "height": 800})

    memory = table.locator("th", has_text="peak MB")
    assert "memory" in memory.get_attribute("title")
    memory.locator("button").click()
    sizes = [float(text) for text in table.locator("tbody tr td:nth-of-type(11)").all_inner_texts() if text != "–"]
    assert sizes == sorted(sizes) and len(set(sizes)) == 2
    table.locator("xpath=..").evaluate("scrolling => { scrolling.scrollLeft = 330; }")
    assert table.locator("tbody th").first.bounding_box()["x"] >= 0  # the job stays in sight
    assert page.evaluate("document.documentElement.scrollWidth") == 390

    enlarge(page)
    page.get_by_label("Filter jobs").fill("Generator failed")
    assert page.locator(".filter output").inner_text() == "1 of 13"
    assert table.locator("tbody tr:visible th").all_inner_texts() == ["11"]
    page.get_by_label("Filter jobs").fill("")
    assert table.locator("tbody tr:visible").count() == 13

    table.get_by_role("link", name="8", exact=True).click()
    assert page.title() == "a job"
    opened.files.add((file.parent / "8/report.html").as_uri())
