"""Data that many tests read, and what one must not leave to the next."""

import contextlib
import logging
import os

import pytest
from hypothesis import HealthCheck, settings

with contextlib.suppress(ImportError):
    # It configures logging as it is imported, which closes all handlers there are, with what pytest captures.
    import submitit  # noqa: F401

# What JAX compiles for tests runs for milliseconds.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# Speed is measured by benchmarks; a machine that is busy must fail no test.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory):
    """The embedded digits, written once for all tests."""
    from runner.sources.digits import write_digits

    root = tmp_path_factory.mktemp("data") / "digits"
    write_digits(root)
    return root


@pytest.fixture
def folder(tmp_path):
    """An empty folder for a run."""
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def logging_is_left_as_it_was():
    """Hydra's `--info` logs everything to the present standard output from then on."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler and each not in before]:
        root.removeHandler(handler)
    root.setLevel(level)
