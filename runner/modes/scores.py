"""Scores of a model: loss and metrics on the samples of a split, and on those of each part of a mix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.data.dataset import Dataset
from runner.data.labels import Head
from runner.data.mixed import part_codes
from runner.data.views import select
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.models.base import Output
from runner.modes.context import RunContext, share_of
from runner.modes.pipeline import open_loader, streaming

if TYPE_CHECKING:
    import keras


def model_of_rank(run: RunContext, model: keras.Model, file: Path) -> keras.Model:
    """The model of `file` for this process alone, without whose others it may be used; alone it is `model` itself."""
    from runner.distribute.devices import variables_on_own
    from runner.training.model_file import load

    if run.rank.world == 1:
        return model
    with variables_on_own(run.config.distribute):
        return load(file)


def evaluate_split(
    run: RunContext,
    model: keras.Model,
    own: keras.Model,
    loader: Loader,
    *,
    heads: tuple[Head, ...],
    outputs: tuple[Output, ...],
) -> dict[str, Any]:
    """Loss and metrics; of masks also the overlap of each class, counted exactly in a second pass.

    All processes of a run compute `model` together, and `own` each for itself.
    """
    from runner.training.inference import evaluate
    from runner.training.segmentation import Segmentation

    loader.share = share_of(run)
    results: dict[str, Any] = evaluate(model, loader)
    if any(head.mode == "mask" for head in heads):
        loader.share = None
        segmentation = Segmentation(own, loader, heads=heads, outputs=outputs, exchange=run.exchange)
        segmentation.score()
        results |= segmentation.scores
    return results


SAMPLES = "samples"
"""The key of a part's number of samples, next to its metrics."""


def evaluate_parts(
    run: RunContext, model: keras.Model, own: keras.Model, dataset: Dataset, settings: LoaderSettings, split: str
) -> None:
    """Evaluate each part of `data=mix` that the split has samples of; report and record it. Nothing for other data.

    Models as in `evaluate_split`.
    """
    found = dict(_evaluated(run, model, own, dataset, settings, split))
    for name, results in found.items():
        metrics = {key: value for key, value in results.items() if key != SAMPLES}
        run.terminal.results(f"{split} of {name}", metrics)
    if found:
        run.record.update(results={"parts": found})


def _evaluated(
    run: RunContext, model: keras.Model, own: keras.Model, dataset: Dataset, settings: LoaderSettings, split: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    from runner.models.base import outputs_of

    source, heads = dataset.splits[split], dataset.heads
    if dataset.batches is not None or (parts := part_codes(source)) is None:
        return
    for number, name in enumerate(parts.names):
        if len(indices := np.flatnonzero(parts.codes == number)):
            part = replace(dataset, splits={split: select(source, indices)})
            with open_loader(run.config, streaming(settings), part, split) as loader:
                outputs = outputs_of(heads, loader.spec)
                results = evaluate_split(run, model, own, loader, heads=heads, outputs=outputs)
                yield name, {SAMPLES: len(indices), **results}
