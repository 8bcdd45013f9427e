"""`mode=predict` with the models of a sweep: the mean of their predictions, one model in memory at a time."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np

from runner.data.labels import heads_document
from runner.errors import ConfigurationError, DataError
from runner.loaders.loader import Loader
from runner.messages import first_few, plural
from runner.modes.context import RunContext
from runner.modes.figures import picture_worst
from runner.modes.results import predicted_section
from runner.records.predictions import PREDICTIONS_CSV, write_predictions
from runner.records.run_folder import RunFolder
from runner.settings import Settings

AVERAGED = ("categorical", "sparse", "binary", "multi_label", "raw")
"""Modes whose predictions can be averaged: probabilities and numbers."""


def refuse_unaveraged(config: Settings, runs: Sequence[RunFolder]) -> None:
    """Raise `ConfigurationError` for what several models cannot do together."""
    if len(runs) <= 1:
        return
    sweep = config.from_run
    if config.mode != "predict":
        raise ConfigurationError(
            f"mode={config.mode} needs one run, got the sweep from_run={sweep}; give one of its jobs, "
            f"from_run={runs[0].path}, or mode=predict"
        )
    if config.split not in (None, "test"):
        raise ConfigurationError(
            f"split must be test for the models of a sweep, got {config.split}: some of them were trained on its "
            "samples; out_of_fold.csv of a sweep over folds has a prediction of each"
        )
    modes = [head.mode for head in runs[0].heads if head.mode not in AVERAGED or head.shape]
    if modes:
        raise ConfigurationError(
            f"from_run={sweep} averages probabilities and numbers, got models of {first_few(modes)}; give one of its "
            f"jobs, from_run={runs[0].path}"
        )


def refuse_known(notes: Sequence[str]) -> None:
    """Raise `DataError` for samples that one of the models was trained on."""
    if notes:
        raise DataError(f"the models of a sweep must not have been trained on the samples: {notes[0]}")


def predict_mean(run: RunContext, runs: Sequence[RunFolder], loader: Loader, split: str) -> None:
    """Write the mean of the predictions of all models."""
    from runner.callbacks.terminate_on_nan import refuse_no_numbers
    from runner.models.base import outputs_of
    from runner.training.inference import predict
    from runner.training.model_file import load, model_digest

    heads, source, used = runs[0].heads, loader.source, []
    means = [np.zeros((), np.float64) for _ in heads]
    run.config.model.import_code()
    run.config.train.import_code()
    loader.share = None
    for one in runs:
        file = one.path / one.model
        model = load(file)  # on a device of this process alone
        refuse_no_numbers(model, f"in {file}")
        predicted, source = predict(model, outputs_of(heads, loader.spec), loader, run.exchange)
        means = [mean + rows.astype(np.float64) / len(runs) for mean, rows in zip(means, predicted, strict=True)]
        used.append({"path": one.path, "model": one.model, "weights": model_digest(model)})
        del model
        gc.collect()  # before the next one is loaded
    if not run.rank.leads:
        return
    codes = source.labels.columns if source.labels.heads else None
    outputs = [mean.astype(np.float32) for mean in means]
    write_predictions(run.record.path / PREDICTIONS_CSV, source.ids, heads=heads, outputs=outputs, codes=codes)
    picture_worst(run.record.path, split, source, heads)
    run.record.update(
        from_run={"path": run.config.from_run, "models": used, "heads": heads_document(heads)},
        results={"predict": {**predicted_section(run.config, split), "models": len(runs)}},
    )
    count = plural(len(source), "sample")
    run.terminal.summary([("predict", f"{count} of split {split}, mean of {len(runs)} models, in {PREDICTIONS_CSV}")])
