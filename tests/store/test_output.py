"""Values as a person reads them."""

import pytest

from runner.store.output import brief


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.1235"),
        (999.5, "999.5000"),
        (10330.4, "10330"),
        (-2500.0, "-2500"),
        (1.5e12, "1.5e+12"),
        (0.0000123, "1.23e-05"),
        (0.0, "0"),
        (float("inf"), "inf"),
        (10330, "10330"),
        (True, "true"),
        (None, ""),
        ("a" * 64, "a" * 12 + "…"),
    ],
)
def test_value_is_as_short_as_a_person_wants_it(value, text):
    assert brief(value) == text
