"""`mode=run` and `mode=fit`: build a model for the data, train it and save it; `run` also evaluates and predicts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.data.dataset import Dataset
from runner.loaders.advice import ReadingResources, advise
from runner.loaders.auto import num_processors
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Wait
from runner.machine import available_bytes
from runner.messages import plural
from runner.models.base import Task, task_of
from runner.modes.context import RunContext, data_stage, open_loaders, prepare_loading
from runner.modes.figures import picture_data, picture_wait, picture_worst
from runner.modes.pipeline import data_section, open_dataset, open_repeated
from runner.modes.resume import refuse_other_data
from runner.modes.summary import resource_lines, training_lines
from runner.modes.terminal import TrainingPace
from runner.records.contents import CONTENTS
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.metrics import MetricsTable, read_metrics
from runner.records.pictures import FIGURES
from runner.records.predictions import PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.records.state import State, drop_states, read_state
from runner.training.backend import naming_refusals

if TYPE_CHECKING:
    import keras

    from runner.training.loop import Training


def train_model(run: RunContext, resumed: RunFolder | None) -> Dataset:
    """Open the data, build the model, fit it, then evaluate and predict with `mode=run`. Returns the data."""
    with data_stage(run):
        dataset, settings = _open_data(run, resumed)
        if resumed is not None:
            _remove_results(run.record.path)
        picture_data(run.record.path, dataset)
    with (
        naming_refusals(deterministic=run.config.deterministic),
        open_loaders(run, settings, dataset, tuple(dataset.splits), training=True) as loaders,
    ):
        with run.record.stage("build"):
            task, model = _build(run, dataset, loaders["train"])
        with run.record.stage("fit"):
            first_loss = _first_loss(run, model, loaders["train"])
            training = _training(run, model, loaders, first_loss)
            result = _fit(run, training, settings, resumed=resumed is not None)
            _report_fit(run, training, settings, result)
            if first_loss is not None:
                _report_overfit(run, training, task, first_loss=first_loss, steps=result["steps"])
        if run.config.mode == "run":
            _evaluate_and_predict(run, model, task, dataset, loaders)
    return dataset


def _open_data(run: RunContext, resumed: RunFolder | None) -> tuple[Dataset, LoaderSettings]:
    """Open the data and choose how to read it; refuse to resume on other data."""
    earlier = resumed or (None if run.config.rerun is None else RunFolder(run.config.rerun))
    dataset = open_dataset(run.config) if earlier is None else open_repeated(run.config, earlier)
    data = data_section(dataset)
    if resumed is not None:
        refuse_other_data(run.config, resumed, data["fingerprint"])
        if data["fingerprint"] != resumed.document["data"].get("fingerprint"):
            shutil.rmtree(run.record.path / CONTENTS, ignore_errors=True)
    return dataset, prepare_loading(run, dataset, tuple(dataset.splits), data)


def _remove_results(folder: Path) -> None:
    """Remove what the end of a run writes again."""
    for name in (MODEL, PREDICTIONS_CSV):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / FIGURES, ignore_errors=True)


def _build(run: RunContext, dataset: Dataset, loader: Loader) -> tuple[Task, keras.Model]:
    """The task that the data sets, and a model for it, compiled."""
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
    run.terminal.summary(training_lines(run.config, steps, model.count_params(), compiled_by_user=by_user))
    return task, model


def _first_loss(run: RunContext, model: keras.Model, loader: Loader) -> float | None:
    """The loss before training, which `debug=overfit` compares with; else None."""
    from runner.training.inference import evaluate

    return evaluate(model, loader)["loss"] if run.config.debug == "overfit" else None


def _training(run: RunContext, model: keras.Model, loaders: Mapping[str, Loader], first_loss: float | None) -> Training:
    from runner.training.loop import Training
    from runner.training.overfit import ENOUGH

    enough = -math.inf if first_loss is None else ENOUGH * first_loss
    return Training(model, loaders["train"], loaders.get("validation"), run.config.train, enough_loss=enough)


def _fit(run: RunContext, training: Training, settings: LoaderSettings, *, resumed: bool) -> dict[str, Any]:
    """The result of `loop.fit`. metrics.csv, the terminal, the tracker and run.json are updated after every epoch."""
    from runner.training.loop import TrainingObserver, fit
    from runner.training.profile import PROFILE_PSTATS, profiled

    path, clock, steps = run.record.path, training.train.clock, training.steps_per_epoch
    metrics = MetricsTable(path)
    start = _read_start(run, metrics, steps) if resumed else None
    pace = TrainingPace(settings.batch_size, lambda: clock.waited_seconds)
    profiling = profiled(path / PROFILE_PSTATS) if run.config.debug == "profile" else nullcontext()
    with run.terminal.training(epochs=run.config.train.epochs, steps_per_epoch=steps, pace=pace) as view:

        def on_epoch(epoch: int, row: dict[str, float | None]) -> None:
            metrics.append(epoch, row)
            view.on_epoch(epoch, row)
            run.tracking.epoch(epoch, row)

        def on_weights(digests: list[str | None]) -> None:
            run.record.update(digests={"weights_per_epoch": digests})

        with profiling:
            observer = TrainingObserver(view.on_step, on_epoch, on_weights)
            return fit(training, checkpoints=path / CHECKPOINTS, observer=observer, start=start)


def _read_start(run: RunContext, metrics: MetricsTable, steps_per_epoch: int) -> State | None:
    """The state to resume from; rows and states that were written after it are removed."""
    start = read_state(run.record.path / CHECKPOINTS)
    step = start.step if start else 0
    epoch, done = divmod(step, steps_per_epoch)
    where = f"from epoch {epoch + 1}" + (f", after {done:,} of {plural(steps_per_epoch, 'step')}" if done else "")
    run.terminal.summary([("resume", where if start else "from the beginning: the run has saved no state")])
    metrics.resume(epoch)
    drop_states(run.record.path / CHECKPOINTS, after=step)
    return start


def _report_fit(run: RunContext, training: Training, settings: LoaderSettings, result: dict[str, Any]) -> None:
    """Save the model; report and record the result of `loop.fit`."""
    from runner.callbacks.terminate_on_nan import refuse_no_numbers
    from runner.training.model_file import save
    from runner.training.profile import PROFILE_PSTATS, profile_lines

    wait, digests = result.pop("wait"), result.pop("digests")
    if training.train.clock.waited_seconds:  # 0 where a resumed run had nothing left to train
        result["wait"] = _report_wait(run, wait, training.train, settings)
    run.terminal.summary(resource_lines(result))
    refuse_no_numbers(training.model, "at the end of training")
    digests["weights"] = save(training.model, run.record.path / MODEL)
    if run.config.loader.kind == "custom":
        digests["ids"] = None  # ready-made batches have positions for ids, which identify no sample
    run.record.update(digests=digests, results={"fit": result})
    if run.config.debug == "profile":
        run.terminal.summary(profile_lines(run.record.path / PROFILE_PSTATS))


def _report_wait(run: RunContext, wait: Wait, loader: Loader, settings: LoaderSettings) -> dict[str, object]:
    """Report the wait with advice, and draw it. Returns the section for run.json."""
    source = loader.source
    means = ReadingResources(
        loader=settings,
        processors=num_processors(),
        epochs=run.config.train.epochs,
        all_bytes=len(source) * source.spec.num_bytes,
        available_bytes=available_bytes(),
        has_files=source.has_files,
    )
    advice = advise(wait, means)
    run.terminal.summary([("wait", advice)])
    picture_wait(run.record.path, loader.clock.timeline.lanes())
    return {**wait.document(), "advice": advice}


def _report_overfit(run: RunContext, training: Training, task: Task, *, first_loss: float, steps: int) -> None:
    """Report and record whether the model memorised the batch, and if not, what may be wrong."""
    from runner.training.overfit import OverfitResult, verdict

    last_loss = float(read_metrics(run.record.path)[-1]["loss"] or 0.0)
    result = OverfitResult(steps, first_loss, last_loss)
    lines = list(verdict(result, training.model, training.train.first_batch(), task.outputs))
    run.terminal.summary([("" if number else "overfit", text) for number, text in enumerate(lines)])
    run.record.update(results={"overfit": {**vars(result), "succeeded": result.succeeded, "told": lines}})


def _evaluate_and_predict(
    run: RunContext, model: keras.Model, task: Task, dataset: Dataset, loaders: Mapping[str, Loader]
) -> None:
    """Evaluate and predict the test split; without one, the validation split."""
    from runner.training.inference import evaluate, predict_to

    split = next((name for name in ("test", "validation") if name in loaders), None)
    if split is None:
        run.terminal.note("nothing to evaluate: the data has no test or validation split")
        return
    if split != "test":
        run.terminal.note("no test split: evaluating on validation")
    with run.record.stage("evaluate"):
        results = evaluate(model, loaders[split])
    with run.record.stage("predict"):
        file = run.record.path / PREDICTIONS_CSV
        predicted = predict_to(file, model, loaders[split], heads=dataset.heads, outputs=task.outputs)
        picture_worst(run.record.path, split, predicted, dataset.heads)
    run.terminal.results(split, results)
    run.record.update(results={"evaluate": {"split": split, **results}, "predict": {"split": split}})
