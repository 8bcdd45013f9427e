"""`mode=run` and `mode=fit`: build a model for the data, train it and save it; `run` also evaluates and predicts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from runner.batch import Array
from runner.data.dataset import Dataset
from runner.errors import ConfigurationError
from runner.loaders.advice import ReadingResources, advise
from runner.loaders.auto import num_processors
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Wait
from runner.machine import available_bytes
from runner.messages import first_few
from runner.models.base import Task
from runner.modes.context import RunContext, data_stage, open_loaders, open_notes, prepare_loading
from runner.modes.figures import picture_data, picture_wait
from runner.modes.model import build_model
from runner.modes.open_data import data_section, open_dataset, open_repeated, refuse_unlabelled
from runner.modes.phases import phase_augmentations
from runner.modes.pipeline import open_loader, steps_per_pass, streaming
from runner.modes.results import evaluate_and_predict
from runner.modes.resume import fewer_epochs, refuse_other_data, where_to_start
from runner.modes.sampler import Sampler
from runner.modes.summary import resource_lines
from runner.modes.terminal import TrainingPace
from runner.records.bad_samples import Notes
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.mask_files import PREDICTIONS
from runner.records.metrics import MetricsTable, read_metrics
from runner.records.pictures import FIGURES
from runner.records.predictions import FOLD_CSV, PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.records.state import State, keep_states, read_state
from runner.training.backend import naming_refusals

if TYPE_CHECKING:
    import keras

    from runner.callbacks.user_callbacks import UserCallback
    from runner.training.setup import Training


def train_model(run: RunContext, resumed: RunFolder | None) -> Dataset:
    """Open the data, build the model, fit it, then evaluate and predict with `mode=run`. Returns the data.

    A run that is resumed stays as it was until its first step: the model is built first, as it may be refused.
    """
    with data_stage(run):
        dataset, settings = _open_data(run, resumed)
        if resumed is None and run.rank.leads:
            picture_data(run.record.path, dataset)
    with naming_refusals(deterministic=run.config.deterministic), ExitStack() as stack:
        with run.record.stage("build"):
            steps = steps_per_pass(run.config, settings, dataset)
            found = None if resumed is None else read_state(resumed.path / CHECKPOINTS)
            task, model, phases = build_model(run, dataset, steps, resumed, found)
            start = None if resumed is None else _start(run, resumed, found, model, steps)
            callbacks = _callbacks(run, start)
        splits, notes = tuple(dataset.splits), _notes(run, dataset, resumed)
        loaders = stack.enter_context(open_loaders(run, settings, dataset, splits, training=True, notes=notes))
        with run.record.stage("fit"):
            first_loss = _first_loss(run, model, loaders["train"])
            pixels = _pixels(run, settings, dataset, notes)
            augmentations = phase_augmentations(run.config, dataset, loaders["train"], phases)
            training = _training(run, model, loaders, first_loss, pixels)
            training = replace(training, callbacks=callbacks, phases=phases, augmentations=augmentations)
            begin = None if resumed is None else partial(_begin_again, run, dataset, notes, start)
            result = _fit(run, training, settings, start=start, begin=begin)
            _report_fit(run, training, settings, result)
            if first_loss is not None:
                _report_overfit(run, training, task, first_loss=first_loss, steps=result["steps"])
        if run.config.mode == "run":
            evaluate_and_predict(run, model, task, dataset, loaders, settings)
    return dataset


def _open_data(run: RunContext, resumed: RunFolder | None) -> tuple[Dataset, LoaderSettings]:
    """Open the data and choose how to read it; refuse to resume on other data."""
    earlier = resumed or (None if run.config.rerun is None else RunFolder(run.config.rerun))
    dataset = open_dataset(run.config) if earlier is None else open_repeated(run.config, earlier)
    refuse_unlabelled(run.config, dataset)
    data = data_section(dataset)
    if resumed is not None:
        refuse_other_data(run.config, resumed, data)
    return dataset, prepare_loading(run, dataset, tuple(dataset.splits), data)


def _notes(run: RunContext, dataset: Dataset, resumed: RunFolder | None) -> Notes:
    """The notes of what the run reads; those of a resumed run forget other data."""
    fingerprint = None if resumed is None else resumed.document["data"].get("fingerprint")
    forgets = resumed is not None and run.record.document["data"]["fingerprint"] != fingerprint
    return open_notes(run, dataset, forgets=forgets)


def _begin_again(run: RunContext, dataset: Dataset, notes: Notes, start: State | None) -> None:
    """Begin to write a run that is resumed from `start`: nothing can refuse it any more.

    Removes what its end writes again, and states that were written later.
    """
    run.begin()
    notes.begin()
    folder = run.record.path
    for name in (MODEL, PREDICTIONS_CSV, FOLD_CSV):
        (folder / name).unlink(missing_ok=True)
    for name in (FIGURES, PREDICTIONS):
        shutil.rmtree(folder / name, ignore_errors=True)
    keep_states(folder / CHECKPOINTS, start)
    if run.rank.leads:
        picture_data(folder, dataset)


def _first_loss(run: RunContext, model: keras.Model, loader: Loader) -> float | None:
    """The loss before training, which `debug=overfit` compares with; else None."""
    from runner.training.inference import evaluate

    return evaluate(model, loader)["loss"] if run.config.debug == "overfit" else None


def _pixels(run: RunContext, settings: LoaderSettings, dataset: Dataset, notes: Notes) -> Array | None:
    """The pixels of each class in the training split, whose masks are read once for it, if their number is needed."""
    from runner.training.class_weights import count_pixels

    source = dataset.splits["train"]
    head = next((head for head in source.labels.heads if head.mode == "mask"), None)
    if head is None or all(one.class_weight != "balanced" for one in run.config.train.each()):
        return None

    def count() -> Array:
        with open_loader(run.config, streaming(settings), dataset, "train", notes=notes) as loader:
            return count_pixels(head, loader.epoch(0))

    with run.terminal.waiting("counting the pixels of each class"):
        return run.exchange.once(count)


def _callbacks(run: RunContext, start: State | None) -> tuple[UserCallback, ...]:
    """The user's callbacks; refuses to go on from `start` without the state of one."""
    from runner.training.named_callbacks import callbacks_of, lost_states, refuse_lost_states

    callbacks = callbacks_of(run.config.train, run.callbacks)
    if start is not None and not run.config.resume_inexact:
        refuse_lost_states(callbacks)
    if callbacks:
        names, lost = [callback.name for callback in callbacks], lost_states(callbacks)
        run.record.update(callbacks={"names": names, "without_state": lost})
        if lost:
            run.terminal.note(f"a resume of this run needs resume_inexact=true: {first_few(lost)} has no get_state()")
    return callbacks


def _training(
    run: RunContext,
    model: keras.Model,
    loaders: Mapping[str, Loader],
    first_loss: float | None,
    pixels: Array | None,
) -> Training:
    from runner.training.overfit import ENOUGH
    from runner.training.setup import Training

    enough = -math.inf if first_loss is None else ENOUGH * first_loss
    return Training(
        model, loaders["train"], loaders.get("validation"), run.config.train, enough, pixels, run.rank.leads
    )


def _fit(
    run: RunContext,
    training: Training,
    settings: LoaderSettings,
    *,
    start: State | None,
    begin: Callable[[], None] | None,
) -> dict[str, Any]:
    """The result of `loop.fit`, which a `RunObserver` reports and records.

    A resumed run starts from `start`, and calls `begin` before its next step.
    """
    from runner.modes.observer import RunObserver
    from runner.training.loop import fit
    from runner.training.profile import PROFILE_PSTATS, profiled

    path, clock, steps = run.record.path, training.train.clock, training.steps_per_epoch
    metrics, resumed_at = MetricsTable(path), None
    if begin is not None:
        metrics.resume(start.done_epochs(steps) if start else 0)
        resumed_at = start.step if start else 0
    pace = TrainingPace(settings.batch_size, lambda: clock.waited_seconds)
    profiling = profiled(path / PROFILE_PSTATS) if run.config.debug == "profile" else nullcontext()
    train = run.config.train
    with (
        run.terminal.training(epochs=train.epochs, steps_per_epoch=steps, pace=pace, monitor=train.monitor) as view,
        profiling,
        closing(Sampler(run, training, resumed_at=resumed_at)) as sampler,
    ):
        observer = RunObserver(run, metrics, view, sampler, begin)
        return fit(training, checkpoints=path / CHECKPOINTS, observer=observer, start=start)


def _start(
    run: RunContext, resumed: RunFolder, found: State | None, model: keras.Model, steps_per_pass: int
) -> State | None:
    """The state to resume from, which is the one `found`; None if the run has saved none.

    Raises `ConfigurationError` if the state is of another model, or of more epochs than are requested now.
    """
    from runner.callbacks.training_state import build_optimizer, refuse_other_model

    settings = run.config.train
    steps = settings.steps_per_epoch or steps_per_pass
    start = None if found is None else found.moved_to(steps)
    run.terminal.summary([("resume", where_to_start(start, steps))])
    if start is not None:
        if start.document["counts"]["stopped"] and resumed.status == "completed":
            raise ConfigurationError(
                f"resume needs an unfinished run, got {resumed.path}, which a callback stopped; start a new run"
            )
        build_optimizer(model)
        refuse_other_model(model, start.arrays)
        if start.step > settings.epochs * steps and not run.config.resume_inexact:
            raise ConfigurationError(fewer_epochs(resumed, math.ceil(start.step / steps), settings))
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
    if run.rank.leads:
        digests["weights"] = save(training.model, run.record.path / MODEL, digests["weights_per_epoch"])
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
        has_bytes=source.has_bytes,
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
