"""Data that many tests read, and what one must not leave to the next."""

import contextlib
import gc
import logging
import os

import pytest
from hypothesis import HealthCheck, settings

with contextlib.suppress(ImportError):
    # It configures logging as it is imported, which closes all handlers there are, with what pytest captures.
    import submitit  # noqa: F401

# What JAX compiles for tests runs for milliseconds.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# What is written need not survive a power cut; a run asks eighty times for that, at some milliseconds each.
os.fsync = lambda descriptor: None

# Speed is measured by benchmarks; a machine that is busy must fail no test.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure(config):
    """What JAX has compiled for one run, or in one process, no other compiles again."""
    if config.pluginmanager.has_plugin("cacheprovider"):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_collection_finish():
    """What was imported stays: each run has all garbage collected, which then looks at what is new alone."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, a file is the work of one process: what its tests share is made once. Long files come early enough."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # files of few tests are often the longest
    return LoadFileScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory):
    """The embedded digits, written once for all tests."""
    from runner.data.digits import write_digits

    root = tmp_path_factory.mktemp("data") / "digits"
    write_digits(root)
    return root


@pytest.fixture
def folder(tmp_path):
    """An empty folder for a run."""
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def empty_pages():
    """Runs and sweeps write empty pages, and no picture of a wait: drawing takes a third of a run of two seconds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("runner.reports.sweep_page.render_sweep", lambda _: "")
        patched.setattr("runner.reports.page.render", lambda *_: "")
        patched.setattr("runner.modes.figures.write_timeline", lambda *_: None)
        patched.setattr("runner.modes.figures.draw_timeline", lambda *_: None)
        yield


@pytest.fixture(autouse=True)
def logging_is_left_as_it_was():
    """Hydra's `--info` logs everything to the present standard output from then on."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler and each not in before]:
        root.removeHandler(handler)
    root.setLevel(level)
