"""Folders to start the runner in, and what is wrong with a configuration."""

from pathlib import Path

import pytest

from runner.commands.prepare_sweep import prepare_sweep
from runner.config.jobs import prepare
from runner.errors import ConfigurationError


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty working directory; call it to write files below it."""

    def write(**files):
        for name, text in files.items():
            file = Path(*name.split("__")).with_suffix(".yaml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    monkeypatch.chdir(tmp_path)
    return write


@pytest.fixture
def problems(workplace):
    """The problems of a configuration, as a list of lines; empty if there are none."""

    def told(*overrides, sweep=False):
        try:
            (prepare_sweep if sweep else prepare)(overrides)
        except ConfigurationError as error:
            return list(error.problems)
        return []

    return told
