"""`mode=run` and `mode=fit`: a model built for the data, trained on it, and tried on what was held back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runner.data.dataset import Dataset
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.machine import available_bytes, refuse_too_large
from runner.models.base import Task, task_of
from runner.modes.choosing import choose_loader
from runner.modes.context import OpenRun, data_stage, open_loaders
from runner.modes.data_section import data_section
from runner.modes.figures import picture_data, picture_worst
from runner.modes.pipeline import as_delivered, needed_bytes, open_dataset
from runner.modes.resume import refuse_other_data
from runner.modes.summary import data_lines, loader_lines, training_lines
from runner.modes.training import train
from runner.records.contents import FOLDER as CONTENTS
from runner.records.earlier import ResumableRun
from runner.records.folder import MODEL
from runner.records.pictures import FOLDER as FIGURES
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.training.backend import naming_refusals

if TYPE_CHECKING:
    import keras


def make_model(run: OpenRun, resumed: ResumableRun | None) -> Dataset:
    """Open the data, build the model, then fit, evaluate and predict; the data."""
    with data_stage(run):
        dataset, settings = _open_data(run, resumed)
        if resumed is not None:
            _take_away_results(run.record.path)
        picture_data(run.record.path, dataset)
    with (
        naming_refusals(deterministic=run.config.deterministic),
        open_loaders(run, settings, dataset, tuple(dataset.splits), training=True) as loaders,
    ):
        with run.record.stage("build"):
            task, model = _build(run, dataset, loaders["train"])
        with run.record.stage("fit"):
            train(run, model, task, loaders=loaders, settings=settings, resumed=resumed is not None)
        if run.config.mode == "run":
            _evaluate_and_predict(run, model, task, dataset, loaders)
    return dataset


def _open_data(run: OpenRun, resumed: ResumableRun | None) -> tuple[Dataset, LoaderSettings]:
    """The data and how it will be read, told and recorded; refused where memory cannot take it, or a resume."""
    config, available = run.config, available_bytes()
    dataset = as_delivered(config, open_dataset(config))
    choice = choose_loader(config, dataset, tuple(dataset.splits), available)
    needed = needed_bytes(config, choice.settings, dataset, tuple(dataset.splits))
    run.terminal.account(data_lines(config, dataset, available))
    run.terminal.account(loader_lines(choice, needed))
    data = data_section(dataset)
    if resumed is not None:
        refuse_other_data(config, resumed, data["fingerprint"])
        if data["fingerprint"] != resumed.document["data"].get("fingerprint"):
            shutil.rmtree(run.record.path / CONTENTS, ignore_errors=True)
    run.record.update(loader=choice.document(), data=data)
    refuse_too_large(needed, available, kind=choice.settings.kind, cached=choice.settings.cache == "memory")
    return dataset, choice.settings


def _take_away_results(folder: Path) -> None:
    """What is made anew at the end, or of the data as it is now."""
    for name in (MODEL, PREDICTIONS_CSV):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / FIGURES, ignore_errors=True)


def _build(run: OpenRun, dataset: Dataset, loader: Loader) -> tuple[Task, keras.Model]:
    """What the data asks of a model, and that model, compiled."""
    from runner.models.compile import compile_model
    from runner.models.layers import precision

    settings, task = run.config.train, task_of(dataset, run.config.data.scale, run.config.model)
    steps = settings.steps_per_epoch or len(loader)
    with precision(settings.precision):
        model = run.config.model.build(task)
        by_user = model.compiled
        if not by_user:
            optimizer = settings.build_optimizer(settings.epochs * steps)
            compile_model(model, task, optimizer=optimizer, jit_compile=settings.jit_compile)
    run.terminal.account(training_lines(run.config, steps, model.count_params(), compiled_by_user=by_user))
    return task, model


def _evaluate_and_predict(
    run: OpenRun, model: keras.Model, task: Task, dataset: Dataset, loaders: Mapping[str, Loader]
) -> None:
    """Try the model on what was held back: the test split, else validation."""
    from runner.training.inference import evaluate, predict_to

    split = next((name for name in ("test", "validation") if name in loaders), None)
    if split is None:
        run.terminal.note("the data has no test or validation split: nothing to evaluate")
        return
    if split != "test":
        run.terminal.note("the data has no test split: evaluating on validation")
    with run.record.stage("evaluate"):
        results = evaluate(model, loaders[split])
    with run.record.stage("predict"):
        file = run.record.path / PREDICTIONS_CSV
        predicted = predict_to(file, model, loaders[split], heads=dataset.heads, outputs=task.outputs)
        picture_worst(run.record.path, split, predicted, dataset.heads)
    run.terminal.results(split, results)
    run.record.update(results={"evaluate": {"split": split, **results}, "predict": {"split": split}})
