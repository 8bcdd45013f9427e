"""The digests and counts of the batches that are trained on."""

from types import SimpleNamespace

import numpy as np

from runner.data.labels import NO_LABELS, Head, Labels
from runner.feeds.delivery import RecordedDelivery
from runner.records.digests import IdStream, array_digest


def test_every_hundredth_step_is_digested():
    def settled(change=lambda step, x: x):
        delivery, pixels = (
            RecordedDelivery(SimpleNamespace(source=SimpleNamespace(labels=NO_LABELS), share=None)),
            IdStream(),
        )
        for step in range(250):
            x = change(step, np.full((2, 3), step % 7, np.uint8))
            delivery.hand_over(step, SimpleNamespace(x=x, y=None, ids=("a", "b"), sample_weight=None))
        delivery.settle(IdStream(), pixels, 0, 130)
        delivery.settle(IdStream(), pixels, 130, 120)
        return pixels.hexdigest()

    expected = IdStream()
    expected.update(array_digest(np.full((2, 3), step % 7, np.uint8)) for step in (0, 100, 200))
    assert settled() == expected.hexdigest()
    assert settled(lambda step, x: x + (step == 200)) != expected.hexdigest()
    assert settled(lambda step, x: x + (step == 201)) == expected.hexdigest()


def test_masks_are_digested_with_their_images():
    labels = Labels((Head("", "mask", ("a", "b"), field="mask"),), (np.empty(0, np.int64),))

    def digest(mask):
        delivery, pixels = (
            RecordedDelivery(SimpleNamespace(source=SimpleNamespace(labels=labels), share=None)),
            IdStream(),
        )
        batch = SimpleNamespace(x=np.ones((2, 3, 3), np.uint8), y=mask, ids=("a", "b"), sample_weight=None)
        delivery.hand_over(0, batch)
        delivery.settle(IdStream(), pixels, 0, 1)
        return pixels.hexdigest()

    assert digest(np.zeros((2, 3, 3), np.uint8)) != digest(np.eye(3, dtype=np.uint8)[None].repeat(2, axis=0))
