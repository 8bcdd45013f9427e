"""Sweeps of small scripts."""

from tests.sweeps.conftest import here, sweep  # noqa: F401
