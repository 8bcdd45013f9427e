"""Sweeps of small scripts."""

from tests.sweeps.conftest import here, hydra_files, sweep  # noqa: F401
