"""`mode=evaluate` and `mode=predict`: the model of an earlier run, on any data with its classes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.data.dataset import Dataset
from runner.data.labels import heads_document
from runner.data.views import join
from runner.errors import DataError
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.machine import available_bytes, refuse_too_large
from runner.modes.context import OpenRun, data_stage, open_loaders
from runner.modes.figures import picture_data, picture_worst
from runner.modes.pipeline import choose_loader, data_section, needed_bytes, open_dataset
from runner.modes.summary import data_lines, loader_lines, model_lines
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.settings import Settings

if TYPE_CHECKING:
    import keras

ALL = "all"
"""What data is called that is read whole, whatever its splits."""


def use_model(run: OpenRun, trained: RunFolder) -> Dataset:
    """Open the data, load the model, then evaluate or predict; the data.

    Raises `DataError` where the data does not fit the model, or has no labels to evaluate on.
    """
    mode = run.config.mode
    with data_stage(run):
        dataset = _open(run.config, trained)
        split = _split(run, dataset)
        settings = _choose(run, trained, dataset, split)
        picture_data(run.record.path, replace(dataset, splits={split: dataset.splits[split]}))
    with open_loaders(run, settings, dataset, (split,), training=False) as loaders:
        with run.record.stage("load"):
            model = _load(run, trained)
        with run.record.stage(mode):
            (_evaluate if mode == "evaluate" else _predict)(run, trained, model, loaders[split], split)
    return dataset


def _open(config: Settings, trained: RunFolder) -> Dataset:
    """The data in the model's words; as one part where it has no labels and no part was asked for."""
    dataset = open_dataset(config, trained.heads)
    if dataset.heads or config.split is not None or dataset.batches is not None:
        return dataset
    undivided = config.data.model_copy(update={"validation_split": 0.0, "test_split": 0.0})
    dataset = open_dataset(config.model_copy(update={"data": undivided}), trained.heads)
    return replace(dataset, splits={ALL: join(tuple(dataset.splits.values()))}, notes=())


def _split(run: OpenRun, dataset: Dataset) -> str:
    """The part to read: as asked for, else the one that was held back from training."""
    asked, there = run.config.split, list(dataset.splits)
    if asked is not None and asked not in there:
        raise DataError(f"split must be one of {', '.join(there)}, got {asked!r}: the data has no such split")
    split: str | None = asked or next((name for name in (ALL, "test", "validation") if name in there), None)
    if split is None:
        raise DataError(
            "the data has no test or validation split; add split=train to read what the model may have learnt from"
        )
    if asked is None and split == "validation":
        run.terminal.note("the data has no test split: reading validation")
    return split


def _choose(run: OpenRun, trained: RunFolder, dataset: Dataset, split: str) -> LoaderSettings:
    """Tell and record what will be read and how; refuse what the model or the memory cannot take."""
    config, available = run.config, available_bytes()
    choice = choose_loader(config, dataset, (split,), available)
    needed = needed_bytes(config, choice.settings, dataset, (split,))
    run.terminal.account(data_lines(config, dataset, available))
    run.terminal.account(loader_lines(choice, needed))
    run.record.update(loader=choice.document(), data=data_section(dataset))
    if config.mode == "evaluate" and not dataset.splits[split].labels.heads:
        raise DataError("mode=evaluate needs labels, and the data has none; use mode=predict")
    _refuse_other_samples(trained, dataset)
    refuse_too_large(needed, available, kind=choice.settings.kind, cached=choice.settings.cache == "memory")
    return choice.settings


def _refuse_other_samples(trained: RunFolder, dataset: Dataset) -> None:
    before, spec = trained.document["data"], dataset.spec
    if list(spec.shape) != before["shape"]:
        raise DataError(
            f"the model of {trained.path} takes samples of shape {_shape(before['shape'])}, got "
            f"{_shape(spec.shape)}; for images set data.target_size and data.color_mode as in that run"
        )
    # The model scales what it was trained on: values from 0 to 255, or others.
    if str(spec.dtype) != before["dtype"] and "uint8" in (str(spec.dtype), before["dtype"]):
        raise DataError(
            f"the model of {trained.path} takes samples of {before['dtype']}, got {spec.dtype}; "
            "give samples in the range of those it was trained on"
        )


def _load(run: OpenRun, trained: RunFolder) -> keras.Model:
    from runner.training.model_file import load, model_digest

    run.config.model.import_code()
    model = load(trained.path / trained.model)
    run.terminal.account(model_lines(trained, model.count_params()))
    used = {"path": trained.path, "model": trained.model, "weights": model_digest(model)}
    run.record.update(from_run={**used, "heads": heads_document(trained.heads)})
    return model


def _evaluate(run: OpenRun, trained: RunFolder, model: keras.Model, loader: Loader, split: str) -> None:
    from runner.training.inference import evaluate

    results = evaluate(model, loader)
    run.terminal.results(split, results)
    run.record.update(results={"evaluate": {"split": split, "model": trained.model, **results}})


def _predict(run: OpenRun, trained: RunFolder, model: keras.Model, loader: Loader, split: str) -> None:
    from runner.models.base import output_of
    from runner.training.inference import predict_to

    file, heads = run.record.path / PREDICTIONS_CSV, trained.heads
    outputs = tuple(output_of(head, loader.spec.shape) for head in heads)
    predicted = predict_to(file, model, loader, heads=heads, outputs=outputs)
    picture_worst(run.record.path, split, predicted, heads)
    run.terminal.account([("predicted", f"{len(predicted):,} samples ({split})")])
    run.record.update(results={"predict": {"split": split, "model": trained.model}})


def _shape(shape: tuple[int, ...] | list[int]) -> str:
    return "×".join(map(str, shape))
