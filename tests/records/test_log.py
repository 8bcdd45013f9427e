"""run.log holds what the runner's loggers say."""

import logging
import re

from runner.records.record import close_log, open_log


def test_log_has_time_level_name_and_message(tmp_path):
    handler = open_log(tmp_path)
    logging.getLogger("runner.training.loop").info("epoch %d", 3)
    close_log(handler)
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 INFO runner\.training\.loop: epoch 3\n"
    assert re.fullmatch(line, (tmp_path / "run.log").read_text())


def test_log_skips_other_loggers_and_debug(tmp_path):
    handler = open_log(tmp_path)
    logging.getLogger("elsewhere").error("not ours")
    logging.getLogger("runner").debug("too much")
    close_log(handler)
    assert (tmp_path / "run.log").read_text() == ""


def test_closed_log_takes_nothing_more(tmp_path):
    handler = open_log(tmp_path)
    close_log(handler)
    close_log(handler)
    logging.getLogger("runner").error("too late")
    assert handler not in logging.getLogger("runner").handlers
    assert (tmp_path / "run.log").read_text() == ""


def test_log_appends_to_an_existing_file(tmp_path):
    for text in ("first", "second"):
        handler = open_log(tmp_path)
        logging.getLogger("runner").info(text)
        close_log(handler)
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split(": ")[1] for line in lines] == ["first", "second"]


def test_log_takes_text_that_utf8_cannot_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("runner"), "propagate", False)  # pytest could not send such text on
    handler = open_log(tmp_path)
    logging.getLogger("runner").warning("caf\udce9.png is damaged")
    close_log(handler)
    assert "caf\\udce9.png is damaged" in (tmp_path / "run.log").read_text()


def test_names_forge_no_line_of_the_log(tmp_path):
    handler = open_log(tmp_path)
    forged = "bad\n2026-01-01T00:00:00.000+00:00 INFO runner: forged\x1b[2J"
    logging.getLogger("runner").warning("%s", forged)
    try:
        raise ValueError(forged)
    except ValueError as error:
        logging.getLogger("runner").error("failed", exc_info=error)
    close_log(handler)
    text = (tmp_path / "run.log").read_text()
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")]
    assert len([line for line in text.splitlines() if not line.startswith(" ")]) == 2
