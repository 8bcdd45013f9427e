"""Runs that draw nothing."""

import contextlib

import pytest


@contextlib.contextmanager
def without_pages():
    """Write empty pages and no picture of the wait in the block: drawing takes a third of a run of two seconds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("runner.reports.sweep_page.render_sweep", lambda _: "")
        patched.setattr("runner.reports.page.render", lambda *_: "")
        patched.setattr("runner.modes.figures.write_timeline", lambda *_: None)
        patched.setattr("runner.modes.figures.draw_timeline", lambda *_: None)
        yield
