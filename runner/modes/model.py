"""The model of a run: built for the task that its data sets, and compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from runner.data.dataset import Dataset
from runner.errors import ConfigurationError
from runner.models.base import Task, task_of
from runner.modes.context import RunContext
from runner.modes.initial_weights import model_to_build
from runner.modes.summary import training_lines
from runner.records.run_folder import RunFolder
from runner.records.state import State
from runner.training.in_phase import mixed_phases

if TYPE_CHECKING:
    import keras

    from runner.training.phases import Phases


def build_model(
    run: RunContext, dataset: Dataset, steps_per_pass: int, resumed: RunFolder | None, state: State | None
) -> tuple[Task, keras.Model, Phases]:
    """The task that the data sets, a model for it, compiled for the phase of training that `state` is in, the phases.

    It has no initial weights if there is a state: that has its own.
    """
    from runner.distribute.devices import variables_on
    from runner.models.compile import compile_model
    from runner.models.layers import precision
    from runner.training.objectives import objectives_of
    from runner.training.phases import PhasePlace, Phases

    settings, task = run.config.train, task_of(dataset, run.config.data.scale, run.config.model)
    steps = settings.steps_per_epoch or steps_per_pass
    objectives = objectives_of(settings, task)
    task, mixed = objectives.task, mixed_phases(run.config)
    with precision(settings.precision), variables_on(run.config.distribute):
        model = model_to_build(run, task, resumed, has_state=state is not None).build(task)
    if by_user := model.compiled:
        _refuse_without_effect(run, model)
        phases = Phases.single(settings, steps)
    else:
        counted = _countable(run, task, dataset, steps)
        chosen = objectives if counted == task else objectives.without_overlaps()

        def compile_for(model: keras.Model, make_optimizer: Callable[[], keras.Optimizer], phase: int) -> None:
            trained = chosen.of_mixed_labels() if mixed[phase] else chosen
            with precision(settings.precision), variables_on(run.config.distribute):
                parts = {"losses": trained.losses, "metrics": trained.renewed()}
                compile_model(model, counted, optimizer=make_optimizer(), jit_compile=settings.jit_compile, **parts)

        phases = Phases(settings, steps, PhasePlace.of(state), compile_for)
        phases.begin(model)
    run.config.model.refuse_unsavable(model)
    run.record.update(network=network_section(model))
    run.terminal.summary(training_lines(run.config, steps, model.count_params(), compiled_by_user=by_user))
    return task, model, phases


def _countable(run: RunContext, task: Task, dataset: Dataset, steps: int) -> Task:
    """`task` without metrics that Keras would get wrong in epochs as long as those of this run."""
    from runner.models.compile import MOST_COUNTED, countable

    if (batches := dataset.batches) is not None:
        most = max(steps, *batches.steps.values()) * batches.size
    else:
        most = max(steps * run.config.loader.batch_size, *map(len, dataset.splits.values()))
    counted = countable(task, most)
    if counted != task:
        run.terminal.note(
            f"mean_iou is not computed in training: Keras counts up to {MOST_COUNTED:,} pixels on "
            f"backend={run.config.backend}, and an epoch has more; the evaluation counts them all"
        )
    return counted


def _refuse_without_effect(run: RunContext, model: keras.Model) -> None:
    """Raise `ConfigurationError` if keys were set that change nothing in a model that its function compiled."""
    from runner.models.compile import refuse_own_schedule

    document, settings = run.record.document, run.config.train
    repeats = run.config.resume is not None or run.config.rerun is not None
    typed = document["resumed"][-1]["overrides"] if run.config.resume is not None else document["overrides"]
    if keys := settings.without_effect(typed, repeats=repeats):
        target = run.config.model.document().get("target")
        raise ConfigurationError(
            f"{' and '.join(keys)} must be left out: {target} compiles its model, which keeps its own optimizer and "
            "learning rate; or leave compiling to the runner, or give model.arguments for them"
        )
    if settings.reduce_lr_on_plateau is not None:
        refuse_own_schedule(model)


def network_section(model: keras.Model) -> dict[str, int]:
    """The section `network` of run.json: layers that have an output of their own, weights, and those that train."""
    layers = sum(type(layer).__name__ != "InputLayer" for layer in model.layers)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return {"layers": layers, "weights": model.count_params(), "trainable_weights": trainable}
