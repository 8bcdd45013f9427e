"""Data that many tests read."""

import pytest


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory):
    """The embedded digits, written once for all tests."""
    from runner.sources.digits import write_digits

    root = tmp_path_factory.mktemp("data") / "digits"
    write_digits(root)
    return root
