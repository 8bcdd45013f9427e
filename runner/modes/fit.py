"""`mode=run` and `mode=fit`: a model built for the data, trained on it, and tried on what was held back.

One training, from its loaders and its model to the record: gone on with, fitted, saved, and told how it went.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.data.dataset import Dataset
from runner.loaders.advice import Means, advise
from runner.loaders.auto import num_processors
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Wait
from runner.machine import available_bytes, refuse_too_large
from runner.models.base import Task, task_of
from runner.modes.context import OpenRun, data_stage, open_loaders
from runner.modes.figures import picture_data, picture_wait, picture_worst
from runner.modes.pipeline import choose_loader, data_section, needed_bytes, open_dataset
from runner.modes.resume import refuse_other_data
from runner.modes.summary import cost_lines, data_lines, loader_lines, training_lines
from runner.modes.terminal import Pace
from runner.records.contents import FOLDER as CONTENTS
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.metrics import MetricsTable, read_metrics
from runner.records.pictures import FOLDER as FIGURES
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.records.state import State, drop_states, read_state
from runner.training.backend import naming_refusals

if TYPE_CHECKING:
    import keras

    from runner.training.loop import Training


def train(
    run: OpenRun,
    model: keras.Model,
    task: Task,
    *,
    loaders: Mapping[str, Loader],
    settings: LoaderSettings,
    resumed: bool,
) -> None:
    """Train `model` on `loaders`, which were opened with `settings`; a run that is `resumed` goes on from its state."""
    from runner.training.inference import evaluate
    from runner.training.loop import Training
    from runner.training.model_file import save
    from runner.training.overfit import ENOUGH

    first_loss = evaluate(model, loaders["train"])["loss"] if run.config.debug == "overfit" else None
    training = Training(
        model,
        loaders["train"],
        loaders.get("validation"),
        run.config.train,
        enough_loss=-math.inf if first_loss is None else ENOUGH * first_loss,
    )
    result = _fit(run, training, settings, resumed=resumed)
    wait = result.pop("wait")
    if training.train.clock.waited_seconds:  # not where all was done before a resume
        result["wait"] = _tell_wait(run, wait, training.train, settings)
    run.terminal.account(cost_lines(result))
    digests = {**result.pop("digests"), "weights": save(model, run.record.path / MODEL)}
    if run.config.loader.kind == "custom":
        digests["ids"] = None  # positions in a pass tell nothing
    run.record.update(digests=digests, results={"fit": result})
    _tell_profile(run)
    if first_loss is not None:
        _tell_overfit(run, training, task, first_loss=first_loss, steps=result["steps"])


def _fit(run: OpenRun, training: Training, settings: LoaderSettings, *, resumed: bool) -> dict[str, Any]:
    """What `stages.fit` returns; metrics.csv, terminal, tracker and run.json follow it epoch by epoch."""
    from runner.training.loop import Observer, fit
    from runner.training.profile import NAME as PROFILE
    from runner.training.profile import profiled

    path, clock, steps = run.record.path, training.train.clock, training.steps_per_epoch
    metrics = MetricsTable(path)
    start = _go_on(run, metrics, steps) if resumed else None
    pace = Pace(settings.batch_size, lambda: clock.waited_seconds)
    profiling = profiled(path / PROFILE) if run.config.debug == "profile" else nullcontext()
    with run.terminal.training(epochs=run.config.train.epochs, steps_per_epoch=steps, pace=pace) as view:

        def on_epoch(epoch: int, row: dict[str, float | None]) -> None:
            metrics.append(epoch, row)
            view.on_epoch(epoch, row)
            run.tracking.epoch(epoch, row)

        def on_weights(digests: list[str | None]) -> None:
            run.record.update(digests={"weights_per_epoch": digests})

        with profiling:
            observer = Observer(view.on_step, on_epoch, on_weights)
            return fit(training, checkpoints=path / CHECKPOINTS, observer=observer, start=start)


def _go_on(run: OpenRun, metrics: MetricsTable, steps_per_epoch: int) -> State | None:
    """The state to go on from; what was written after it is taken away."""
    start = read_state(run.record.path / CHECKPOINTS)
    step = start.step if start else 0
    epoch, done = divmod(step, steps_per_epoch)
    where = (
        f"epoch {epoch + 1}, after {done:,} of {steps_per_epoch:,} steps"
        if start
        else "the beginning: no state was written"
    )
    run.terminal.account([("resume", where)])
    metrics.go_on(epoch)
    drop_states(run.record.path / CHECKPOINTS, after=step)
    return start


def _tell_wait(run: OpenRun, wait: Wait, loader: Loader, settings: LoaderSettings) -> dict[str, object]:
    """What run.json says of the wait, with advice, which is printed as well; and its picture, step by step."""
    source = loader.source
    means = Means(
        loader=settings,
        processors=num_processors(),
        epochs=run.config.train.epochs,
        all_bytes=len(source) * source.spec.num_bytes,
        available_bytes=available_bytes(),
        has_files=source.has_files,
    )
    advice = advise(wait, means)
    run.terminal.account([("wait", advice)])
    picture_wait(run.record.path, loader.clock.timeline.lanes())
    return {**wait.document(), "advice": advice}


def _tell_profile(run: OpenRun) -> None:
    from runner.training.profile import NAME as PROFILE
    from runner.training.profile import profile_lines

    if run.config.debug == "profile":
        run.terminal.account(profile_lines(run.record.path / PROFILE))


def _tell_overfit(run: OpenRun, training: Training, task: Task, *, first_loss: float, steps: int) -> None:
    """Whether the batch was learnt by heart, and what else may be wrong."""
    from runner.training.overfit import Attempt, verdict

    last_loss = float(read_metrics(run.record.path)[-1]["loss"] or 0.0)
    attempt = Attempt(steps, first_loss, last_loss)
    told = list(verdict(attempt, training.model, training.train.batch(0, 0), task.outputs))
    run.terminal.account([("" if number else "overfit", text) for number, text in enumerate(told)])
    run.record.update(results={"overfit": {**vars(attempt), "succeeded": attempt.succeeded, "told": told}})


def make_model(run: OpenRun, resumed: RunFolder | None) -> Dataset:
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


def _open_data(run: OpenRun, resumed: RunFolder | None) -> tuple[Dataset, LoaderSettings]:
    """The data and how it will be read, told and recorded; refused where memory cannot take it, or a resume."""
    config, available = run.config, available_bytes()
    dataset = open_dataset(config)
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
