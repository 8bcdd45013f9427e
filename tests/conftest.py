"""Data that many tests read."""

import pytest
from hypothesis import HealthCheck, settings

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
