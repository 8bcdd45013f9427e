"""Training: one call of `fit` per epoch, under one list of callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from runner.batch import Batch, Targets
from runner.callbacks.callback_list import RunCallbacks
from runner.callbacks.epoch_timer import EpochClock, EpochResult
from runner.callbacks.progress import Progress
from runner.callbacks.terminate_on_nan import FiniteLoss
from runner.callbacks.training_state import build_optimizer
from runner.distribute.devices import Placement
from runner.errors import ConfigurationError
from runner.exit import interruptible
from runner.feeds.dataset import feed
from runner.feeds.delivery import Delivery, RecordedDelivery
from runner.feeds.targets import Encode, encoder_of
from runner.machine import cpu_seconds, peak_memory_bytes
from runner.records.metrics import EPOCH, PHASE
from runner.records.state import State, StateWriter
from runner.training.class_weights import sample_weights
from runner.training.in_phase import naming_phase
from runner.training.model_file import model_digest
from runner.training.monitor import direction_of, metric_goals, refuse_absent, saved_models, watching
from runner.training.phases import Phases
from runner.training.setup import Training, TrainingObserver


def fit(
    training: Training, *, checkpoints: Path, observer: TrainingObserver, start: State | None = None
) -> dict[str, Any]:
    """Train. Returns the epochs, whether they ended early, the samples seen, digests, the wait and the resources used.

    Global step `g` is step `g % len(loader)` of pass `g // len(loader)`, however long Keras's epochs are: no sample
    is skipped or repeated. Writes `last.keras` and `best.keras` into `checkpoints` after every epoch, and states.
    With one of these as `start`, training continues as if it had never stopped.

    `steps` are those that trained the model; `empty_steps`, if there were any, had only samples that are skipped.
    `of_mixed_samples` says that loss and metrics of training are those of samples mixed with each other, in any phase.

    The wait and the resources are those of this call; after a resume, of the rest of the run. `cpu_seconds` are user
    and system seconds of all threads of this process and of its children, the workers included. `peak_memory_bytes`
    is `machine.peak_memory_bytes` at the end, so it covers the whole process so far, without memory of a GPU. Both are
    missing if nothing was left to train.

    Raises `ConfigurationError` if `train` names something that the data or the model do not have, `TrainingError` if
    the loss or a weight becomes NaN or infinite, and `KeyboardInterrupt` or `Terminated` once the step is done and its
    state written.
    """
    cpu_before, finite = cpu_seconds(), FiniteLoss()
    results: list[EpochResult] = []
    must_be_finite = training.settings.terminate_on_nan and training.leads
    phases = training.phases or Phases.single(training.settings, training.steps_per_epoch)
    encode = encoder_of(training.model)
    weights = _weights(training, encode)
    mode, number = direction_of(training), phases.place.number
    saving = saved_models(checkpoints, training.monitor, mode, writes=training.leads)
    with (
        interruptible() as interruption,
        closing(StateWriter(checkpoints)) as writer,
        closing(_delivery(training, observer, weights[number], phases.end)) as delivery,
    ):
        progress = Progress(delivery, writer, training.is_state_due, interruption, start, must_be_finite=must_be_finite)
        timer = EpochClock(training.train.clock, results.append)
        of_phase = watching(phases.settings, training.monitor, mode)
        callbacks = RunCallbacks(
            [*([finite] if must_be_finite else []), *training.callbacks, *of_phase, *saving, timer, progress],
            training.model,
            heads=training.heads,
            of_phase=of_phase,
            epochs=training.settings.epochs,
            steps=training.steps_per_epoch,
        )
        progress.begin(callbacks)
        observer.on_begin(callbacks.running_values)
        if progress.epoch_logs is not None or not phases.is_over(progress.step):
            observer.on_phase(phases)
        checkpoints.mkdir(exist_ok=True)
        while progress.epoch_logs is not None or not (progress.stopped or phases.are_over(progress.step)):
            if progress.epoch_logs is None and phases.is_over(progress.step):
                callbacks.on_train_begin()  # restores a state from between two phases
                callbacks.end_phase()
                phases.begin_next(training.model, progress.step)
                number = phases.place.number
                augmentation = training.augmentations[number] if training.augmentations else None
                delivery.begin_phase(weights[number], augmentation, end=phases.end)
                callbacks.begin_phase(watching(phases.settings, training.monitor, mode), before=saving[0])
                timer.begin_phase()
                observer.on_phase(phases)
            samples_before, progress.phase = progress.samples_seen, phases.named
            with finite.naming_batch(delivery):
                if progress.epoch_logs is None:
                    _fit_epoch(training, phases, delivery, callbacks, progress.step)
                else:
                    _validate_epoch(training, callbacks, progress)
            if callbacks.phase_has_stopped:
                phases.stop()
            progress.phase = phases.named
            _end_epoch(training, phases, progress, observer, results[-1], samples_before)
            if len(results) == 1:
                monitored = {training.monitor.removeprefix("val_"): mode}
                observer.on_goals({**metric_goals(training.model, training.heads), **monitored})
            delivery.forget()
        callbacks.finish()
    return {
        "epochs": math.ceil(progress.step / training.steps_per_epoch),
        "stopped_early": progress.step < training.settings.epochs * training.steps_per_epoch,
        "steps": progress.step - delivery.empty_steps - progress.moved,
        **({"of_mixed_samples": True} if any(training.mixed) else {}),
        **({"empty_steps": delivery.empty_steps} if delivery.empty_steps else {}),
        "samples_seen": progress.samples_seen,
        **(_resources(cpu_before) if results else {}),
        "digests": {"ids": progress.ids, "pixels": progress.pixels, "weights_per_epoch": progress.weights},
        "wait": training.train.clock.wait(
            sum(result.later_wait_seconds for result in results),
            sum(result.later_training_seconds for result in results),
            sum(result.later_steps for result in results),
        ),
    }


def _weights(training: Training, encode: Encode) -> list[Callable[[Batch], Targets]]:
    """What weighs the samples of a batch in each phase."""
    weights, labels = [], training.train.source.labels
    for number, (settings, mixed) in enumerate(zip(training.settings.each(), training.mixed, strict=True)):
        with naming_phase(training.settings, number):
            weights.append(sample_weights(settings.class_weight, labels, training.pixels, encode, mixed=mixed))
    return weights


def _resources(cpu_before: float) -> dict[str, float]:
    """CPU seconds and peak memory of training; the workers still live, so their time counts."""
    return {"cpu_seconds": round(cpu_seconds() - cpu_before, 2), "peak_memory_bytes": peak_memory_bytes()}


def _end_epoch(
    training: Training,
    phases: Phases,
    progress: Progress,
    observer: TrainingObserver,
    result: EpochResult,
    samples_before: int,
) -> None:
    """Report an epoch that `fit` has just ended, decide whether it is the last one, and save a state if one is due.

    Early stopping ends the phase; any other callback that stops training, or a loss that is low enough, ends the run.
    """
    progress.advance(progress.trained_to)
    ends_phase = phases.has_stopped and phases.named is not None  # where it is the last one, another may be added
    stops = bool(training.model.stop_training) and not ends_phase
    progress.stopped = progress.stopped or stops or result.logs["loss"] <= training.enough_loss
    row = _row(training, phases, result, progress.samples_seen - samples_before, progress.samples_seen)
    progress.note_weights(result.epoch, model_digest(training.model))
    observer.on_epoch(result.epoch + 1, row)
    refuse_absent(training, result.epoch, row)
    observer.on_weights(progress.weights)
    progress.end_epoch(save=progress.stopped or phases.is_over(progress.step))


def _delivery(
    training: Training, observer: TrainingObserver, weigh: Callable[[Batch], Targets], end: int
) -> RecordedDelivery:
    encode, place = encoder_of(training.model), Placement.of(training.model)
    return RecordedDelivery(training.train, observer.on_step, weigh, end=end, encode=encode, place=place)


def _fit_epoch(
    training: Training, phases: Phases, delivery: Delivery, callbacks: RunCallbacks, first_step: int
) -> None:
    """One call of `fit`, from global step `first_step` to the end of its epoch."""
    build_optimizer(training.model)  # left to Keras, one that scales the loss (mixed_float16) is built twice
    epoch = first_step // training.steps_per_epoch
    num_steps = (epoch + 1) * training.steps_per_epoch - first_step
    train = feed(delivery, first_step=first_step, num_steps=num_steps, model=training.model)
    validating = _validating(training) if phases.validates(epoch) else None
    validation = feed(validating) if validating else None
    with delivery.raising_failures(), (validating or delivery).raising_failures():
        training.model.fit(
            train.data,
            steps_per_epoch=train.steps,
            validation_data=validation and validation.data,
            validation_steps=validation and validation.steps,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )


def _validating(training: Training) -> Delivery | None:
    """The delivery of the validation split; None without one."""
    if training.validation is None:
        return None
    model = training.model
    return Delivery(training.validation, encode=encoder_of(model), place=Placement.of(model))


def _validate_epoch(training: Training, callbacks: RunCallbacks, progress: Progress) -> None:
    """The rest of an epoch whose training was done before the run was stopped: its validation, as `fit` does it."""
    epoch = (progress.step - 1) // training.steps_per_epoch
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(epoch)
    logs = dict(progress.epoch_logs or {})
    if (validating := _validating(training)) is not None:
        validation = feed(validating)
        with validating.raising_failures():
            results = training.model.evaluate(
                validation.data, steps=validation.steps, callbacks=callbacks, return_dict=True, verbose=0
            )
        logs |= {f"val_{name}": value for name, value in results.items()}
    callbacks.on_epoch_end(epoch, logs)


def _row(
    training: Training, phases: Phases, result: EpochResult, samples: int, samples_seen: int
) -> dict[str, float | None]:
    """The epoch's row of metrics.csv. Raises `ConfigurationError` if a metric has the name of one of its columns."""
    added = {name: result.logs.get(name) for one in training.callbacks for name in sorted(one.added)}
    logs = {name: value for name, value in result.logs.items() if name not in added}
    scores = _scores(logs, validated=training.validation is not None)
    facts: dict[str, float | None] = {
        "learning_rate": result.learning_rate,
        "seconds": round(result.seconds, 4),
        "samples_seen": samples_seen,
        "images_per_second": round(samples / result.steps * result.steps_per_second, 1) if result.steps else None,
        "wait_share": round(result.wait_share, 4) if result.steps else None,
    }
    phase: dict[str, float | None] = {} if phases.named is None else {PHASE: phases.named["number"]}
    if taken := {EPOCH, *phase, *facts} & {*scores, *(added if phase else ())}:
        raise ConfigurationError(
            f"metrics of the model must not have the names of other columns of metrics.csv, got "
            f"{', '.join(sorted(taken))}; rename them where the model is compiled"
        )
    return {**phase, **scores, **added, **facts}


def _scores(logs: dict[str, float], *, validated: bool) -> dict[str, float | None]:
    """Loss and metrics, then those of validation, None in an epoch without one; the loss comes first in both."""
    names = sorted((name for name in logs if not name.startswith("val_")), key=lambda name: name != "loss")
    if validated:
        names += [f"val_{name}" for name in names]
    return {name: logs.get(name) for name in names}
