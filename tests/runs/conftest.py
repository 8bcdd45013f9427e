"""Runs that the real writers have written."""

from tests.support.run_store import make, root, store  # noqa: F401
