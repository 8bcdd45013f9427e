"""Runs that draw nothing."""

import contextlib
from pkgutil import resolve_name

import pytest

DRAWN = {
    "runner.reports.sweep_page:render_sweep": lambda _: "",
    "runner.reports.page:render": lambda *_: "",
    "runner.modes.figures:write_timeline": lambda *_: None,
    "runner.modes.figures:draw_timeline": lambda *_: None,
}
"""What draws, and what stands for it where nothing is to be drawn."""


@contextlib.contextmanager
def without_pages():
    """Write empty pages and no picture of the wait in the block: drawing takes a third of a run of two seconds.

    Gives what draws, as it was.
    """
    before = {name: resolve_name(name) for name in DRAWN}
    with pytest.MonkeyPatch.context() as patched:
        put(DRAWN, patched)
        yield before


def put(functions, patched):
    """Put functions into the modules that their names tell."""
    for name, function in functions.items():
        patched.setattr(name.replace(":", "."), function)
