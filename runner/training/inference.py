"""Evaluation: loss and metrics over one pass.

Prediction: what the model says about every sample, in the source's order.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import keras
import numpy as np

from runner.batch import Array
from runner.callbacks.callback_list import PacedCallbacks
from runner.data.labels import Head
from runner.data.source import Source
from runner.data.views import select
from runner.errors import RunnerError
from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery, RecordedDelivery
from runner.loaders.loader import Loader
from runner.models.base import Output
from runner.records.predictions import write_predictions


def evaluate(model: keras.Model, loader: Loader) -> dict[str, float]:
    """Loss and metrics of `model` over all samples of `loader`."""
    delivery = Delivery(loader)
    data = feed(delivery)
    with delivery.raising_failures():
        results = model.evaluate(data.data, steps=data.steps, callbacks=PacedCallbacks(), return_dict=True, verbose=0)
    return {name: float(value) for name, value in results.items()}


def predict(model: keras.Model, outputs: tuple[Output, ...], loader: Loader) -> tuple[list[Array], Source]:
    """One array per output: probabilities, shape `(num_samples, *output shape)`; and the samples they are of.

    These are all samples of `loader`, but for bad ones it leaves out.

    For a reconstruction, each sample's mean squared error, shape `(num_samples,)`: the reconstructions themselves
    may be larger than memory.

    Raises `RunnerError` if the loader shuffles: rows could not be told apart.
    """
    if loader.plan.shuffle:
        raise RunnerError("predictions must be made in the source's order; build the loader with shuffle=False")
    delivery = RecordedDelivery(loader)
    data = feed(delivery)
    with delivery.raising_failures():
        predicted = _reporting_errors(model, outputs).predict(
            data.data, steps=data.steps, callbacks=PacedCallbacks(), verbose=0
        )
    by_name = predicted if isinstance(predicted, dict) else {outputs[0].name: predicted}
    predictions = [np.asarray(by_name[output.name])[: loader.num_samples] for output in outputs]
    return predictions, _given(delivery, loader, len(predictions[0]))


def predict_to(
    file: Path, model: keras.Model, loader: Loader, *, heads: tuple[Head, ...], outputs: tuple[Output, ...]
) -> Source:
    """Write what `model` says about every sample of `loader` as a table, with a label column where there are labels.

    Returns the samples of its rows. Raises `RunnerError` where the file cannot be written.
    """
    predicted, source = predict(model, outputs, loader)
    # Asked afterwards: ready-made batches bring their ids and labels along.
    codes = source.labels.columns if source.labels.heads else None
    write_predictions(file, source.ids, heads=heads, outputs=predicted, codes=codes)
    return source


def _given(delivery: RecordedDelivery, loader: Loader, num_rows: int) -> Source:
    """The samples that were handed over, of which predictions have so many rows."""
    if num_rows == loader.num_samples:
        return loader.source
    given = chain.from_iterable(delivery.ids(step) for step in range(len(loader)))
    places = enumerate(loader.source.ids)
    return select(loader.source, np.array([next(i for i, name in places if name == one) for one in given], np.int64))


def _reporting_errors(model: keras.Model, outputs: tuple[Output, ...]) -> keras.Model:
    """`model`, with the error of each reconstruction in its place."""
    if not any(output.reconstruction for output in outputs):
        return model
    sample, reconstruction = model.inputs[0], model.outputs[0]
    axes = tuple(range(1, len(sample.shape)))
    error = keras.ops.mean(keras.ops.square(sample - reconstruction), axis=axes)
    return keras.Model(model.inputs, error)
