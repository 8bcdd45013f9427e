"""A source that does as it is told, for loaders that must cope with it."""

import pytest

from tests.support.sources import ObedientSource


@pytest.fixture
def obedient():
    return ObedientSource
