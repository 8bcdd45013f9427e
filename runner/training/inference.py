"""Evaluation: loss and metrics over one pass."""

from __future__ import annotations

import keras

from runner.callbacks.callback_list import PacedCallbacks
from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery
from runner.loaders.loader import Loader


def evaluate(model: keras.Model, loader: Loader) -> dict[str, float]:
    """Loss and metrics of `model` over all samples of `loader`."""
    delivery = Delivery(loader)
    data = feed(delivery)
    with delivery.raising_failures():
        results = model.evaluate(data.data, steps=data.steps, callbacks=PacedCallbacks(), return_dict=True, verbose=0)
    return {name: float(value) for name, value in results.items()}
