"""Evaluation and prediction over one pass."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import keras
import numpy as np

from runner.batch import Array, Indices
from runner.callbacks.callback_list import PacedCallbacks
from runner.data.labels import Head
from runner.data.source import Source
from runner.data.views import select
from runner.distribute.devices import Placement
from runner.distribute.exchange import WITHOUT_OTHERS, Exchange
from runner.distribute.ranks import Rank
from runner.errors import DataError, RunnerError
from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery, RecordedDelivery
from runner.feeds.targets import encoder_of
from runner.loaders.loader import NOTHING_READABLE, Loader
from runner.models.base import Output
from runner.models.score_columns import in_columns
from runner.records.predictions import write_predictions


def evaluate(model: keras.Model, loader: Loader) -> dict[str, float]:
    """Loss and metrics of `model` over all samples of `loader`."""
    delivery = Delivery(loader, encode=encoder_of(model), place=Placement.of(model))
    data = feed(delivery, model=model if delivery.place else None)
    with delivery.raising_failures():
        results = model.evaluate(data.data, steps=data.steps, callbacks=PacedCallbacks(), return_dict=True, verbose=0)
    return {name: float(value) for name, value in in_columns(results, loader.source.labels.heads).items()}


def predict(
    model: keras.Model, outputs: tuple[Output, ...], loader: Loader, exchange: Exchange = WITHOUT_OTHERS
) -> tuple[list[Array], Source]:
    """One array per output, shape `(num_samples, *output shape)`, and the source of these samples.

    The samples are those of `loader`, without bad ones that it leaves out, in the source's order. For a reconstruction
    the array holds each sample's mean squared error, shape `(num_samples,)`: the reconstructions themselves may be
    larger than memory. The ranks of a group divide the batches, each with a model of its own; only rank 0 gets rows.

    Raises `RunnerError` if the loader shuffles: rows could not be matched with samples.
    """
    if loader.plan.shuffle:
        raise RunnerError("predictions need the source's order; build the loader with shuffle=False")
    steps = exchange.rank.steps(len(loader))
    own = [] if not steps else [_predicted(_reporting_errors(model, outputs), outputs, loader, steps, exchange.rank)]
    parts = [part for part in exchange.gather(own) if part.samples is None or len(part.samples)]
    if not parts:
        if exchange.rank.leads:
            raise DataError(NOTHING_READABLE)
        return [np.empty(0) for _ in outputs], select(loader.source, np.empty(0, np.int64))
    if parts[0].samples is None:  # one process has predicted all
        return parts[0].outputs, loader.source
    predictions = [np.concatenate(rows) for rows in zip(*(part.outputs for part in parts), strict=True)]
    delivered = np.concatenate([part.samples for part in parts])
    order = np.argsort(delivered)  # a pass through blocks has the order of their files
    is_whole = len(delivered) == loader.num_samples
    source = loader.source if is_whole else select(loader.source, delivered[order])
    return [rows[order] for rows in predictions], source


@dataclass(frozen=True)
class PredictedPart:
    """Predictions of some batches, an array per output; and their samples, None for all in the source's order."""

    outputs: list[Array]
    samples: Indices | None


def _predicted(
    model: keras.Model, outputs: tuple[Output, ...], loader: Loader, steps: range, rank: Rank
) -> PredictedPart:
    """The predictions of the batches `steps`."""
    delivery = RecordedDelivery(loader, place=Placement.of(model))
    data = feed(delivery, first_step=steps.start, num_steps=len(steps))
    try:
        with delivery.raising_failures():
            predicted = model.predict(data.data, steps=data.steps, callbacks=PacedCallbacks(), verbose=0)
    except DataError:
        if rank.world == 1 or not delivery.is_empty:
            raise
        return PredictedPart([], np.empty(0, np.int64))  # other ranks may have samples that can be read
    by_name = predicted if isinstance(predicted, dict) else {outputs[0].name: predicted}
    predictions = [np.asarray(by_name[output.name])[: loader.num_samples] for output in outputs]
    if len(predictions[0]) == loader.num_samples and loader.plan.blocks is None:
        return PredictedPart(predictions, None)
    return PredictedPart(predictions, _delivered(delivery, loader, steps, len(predictions[0])))


def predict_to(
    file: Path,
    model: keras.Model,
    loader: Loader,
    *,
    heads: tuple[Head, ...],
    outputs: tuple[Output, ...],
    exchange: Exchange = WITHOUT_OTHERS,
) -> Source:
    """Write the predictions for every sample of `loader` as a table, with a label column if there are labels.

    Only rank 0 of a group writes. Returns the source of its rows. Raises `RunnerError` if the file cannot be written.
    """
    predicted, source = predict(model, outputs, loader, exchange)
    if not exchange.rank.leads:
        return source
    # Read after the pass: ready-made batches bring their ids and labels along.
    codes = source.labels.columns if source.labels.heads else None
    write_predictions(file, source.ids, heads=heads, outputs=predicted, codes=codes)
    return source


def _delivered(delivery: RecordedDelivery, loader: Loader, steps: range, num_delivered: int) -> Indices:
    """The samples of the batches `steps` that were delivered, in their order."""
    ids = loader.source.ids
    planned = np.concatenate([loader.plan.batch(0, step).indices for step in steps])
    if len(planned) == num_delivered:
        return planned
    names = chain.from_iterable(delivery.ids(step) for step in steps)
    places = iter(planned.tolist())
    return np.array([next(index for index in places if ids[index] == name) for name in names], np.int64)


def _reporting_errors(model: keras.Model, outputs: tuple[Output, ...]) -> keras.Model:
    """`model`, whose output is the error of the reconstruction instead of the reconstruction."""
    if not any(output.reconstruction for output in outputs):
        return model
    sample, reconstruction = model.inputs[0], model.outputs[0]
    axes = tuple(range(1, len(sample.shape)))
    error = keras.ops.mean(keras.ops.square(sample - reconstruction), axis=axes)
    return keras.Model(model.inputs, error)
