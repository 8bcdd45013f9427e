"""The endless generator."""

import numpy as np

from runner.feeds.delivery import Delivery
from runner.feeds.generator import endless


def test_generator_goes_on_from_pass_to_pass(sequence):
    batches = endless(Delivery(sequence), first_step=2)
    given = [next(batches)[0] for _ in range(5)]
    expected = [batch.x for batch in sequence.stream(2, 5)]
    assert all(np.array_equal(a, b) for a, b in zip(given, expected, strict=True))
