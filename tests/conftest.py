"""Data and settings that many tests share."""

import contextlib
import gc
import logging
import os
import sys
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from packaging.version import Version

import tests.support.children.sitecustomize  # noqa: F401 - Keras is imported in half the time
from tests.support.forked_process import forking
from tests.support.once import done_once
from tests.support.pages import put, without_pages

gc.disable()  # until the first test: imports leave no garbage, and to look for it takes a fifth of their time

with contextlib.suppress(ImportError):
    # It configures logging as it is imported, which closes all handlers there are, with what pytest captures.
    import submitit  # noqa: F401

# Processes that tests start read and write bytecode, as on a user's machine; each would compile for half a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False  # pytest keeps the tests' bytecode: to rewrite their asserts takes 8 s

# Code that JAX compiles for tests runs for milliseconds.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
with contextlib.suppress(metadata.PackageNotFoundError):
    if Version(metadata.version("jaxlib")) < Version("0.11"):  # later ones have no other way to compile
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")  # they compile three times as long

# Files of tests need not survive a power cut; a run calls fsync eighty times, at some milliseconds each.
os.fsync = lambda descriptor: None

# Speed is measured by benchmarks; a machine that is busy must fail no test.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure(config):
    """Share what JAX compiles between runs and processes."""
    if config.pluginmanager.has_plugin("cacheprovider"):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


FROZEN = []
"""Not empty once modules are frozen; `gc.get_freeze_count` would count their objects before every test, in 0.05 s."""


def pytest_runtest_logstart():
    """Freeze imported modules once Keras is among them: every run collects garbage, which takes 0.4 s with them."""
    gc.enable()
    gc.set_threshold(20_000, 20, 20)  # a thirtieth of the collections: they took a twentieth of the time
    if "keras" in sys.modules and not FROZEN:
        gc.collect()
        gc.freeze()
        FROZEN.append("keras")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, a file is the work of one process: what its tests share is made once."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # files of few tests are often the longest
    return LoadFileScheduling(config, log) if config.getvalue("dist") == "load" else None


LONGEST = ("test_docs.py", "test_backends.py", "test_main.py")


def pytest_collection_modifyitems(config, items):
    """With `-n`, begin with the longest files, so that no process works alone at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def choices_and_packages_once():
    """Compose each choice once, and list packages once."""
    with done_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def children_start_quickly():
    """Processes that tests start import this copy of the runner, and Keras in half the time."""
    here = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join(map(str, (here / "support/children", here.parent))))
        yield


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
    """Runs and sweeps write empty pages, and no picture of a wait."""
    with without_pages() as before:
        yield before


@pytest.fixture
def drawn(empty_pages, monkeypatch):
    """Pages are drawn in this test as they are for users."""
    put(empty_pages, monkeypatch)


@pytest.fixture(scope="module")
def eager():
    """TensorFlow runs functions line by line: a run of a few steps takes less time than it takes to trace them."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def traced(eager):
    """TensorFlow traces functions in this test as it does for users."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)


@pytest.fixture(scope="module")
def forked_workers():
    """Worker processes are copies of a process that has imported what they need: each would import for half a second.

    Tests of how processes start and end leave it out.
    """
    from runner.loaders import processes

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(processes, "IsolatedProcess", forking().Process)
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
