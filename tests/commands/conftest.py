"""Sweeps of small scripts."""

from tests.sweeps.conftest import forked, here, hydra_files, sweep  # noqa: F401
