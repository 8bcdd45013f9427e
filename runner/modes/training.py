"""One training, from its loaders and its model to the record: gone on with, fitted, saved, and told how it went."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from runner.data.source import has_files
from runner.loaders.advice import Means, advise
from runner.loaders.auto import num_processors
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Wait
from runner.machine import available_bytes
from runner.models.base import Task
from runner.modes.context import OpenRun
from runner.modes.figures import picture_wait
from runner.modes.summary import cost_lines
from runner.modes.terminal import Pace
from runner.records.folder import CHECKPOINTS, MODEL
from runner.records.metrics import MetricsTable, read_metrics
from runner.records.state import State, drop_states, read_state

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
    from runner.modes.overfit import ENOUGH
    from runner.training.inference import evaluate
    from runner.training.loop import Training
    from runner.training.model_file import save

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
    from runner.modes.profile import NAME as PROFILE
    from runner.modes.profile import profiled
    from runner.training.loop import Observer, fit

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
        has_files=has_files(source),
    )
    advice = advise(wait, means)
    run.terminal.account([("wait", advice)])
    picture_wait(run.record.path, loader.clock.timeline.lanes())
    return {**wait.document(), "advice": advice}


def _tell_profile(run: OpenRun) -> None:
    from runner.modes.profile import NAME as PROFILE
    from runner.modes.profile import profile_lines

    if run.config.debug == "profile":
        run.terminal.account(profile_lines(run.record.path / PROFILE))


def _tell_overfit(run: OpenRun, training: Training, task: Task, *, first_loss: float, steps: int) -> None:
    """Whether the batch was learnt by heart, and what else may be wrong."""
    from runner.modes.overfit import Attempt, verdict

    last_loss = float(read_metrics(run.record.path)[-1]["loss"] or 0.0)
    attempt = Attempt(steps, first_loss, last_loss)
    told = list(verdict(attempt, training.model, training.train.batch(0, 0), task.outputs))
    run.terminal.account([("" if number else "overfit", text) for number, text in enumerate(told)])
    run.record.update(results={"overfit": {**vars(attempt), "succeeded": attempt.succeeded, "told": told}})
