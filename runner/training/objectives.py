"""What a model is trained for: the loss and the metrics of each output, as `train` or its class mode names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras

from runner.errors import ConfigurationError
from runner.messages import did_you_mean, first_few
from runner.models.base import Output, Task
from runner.models.losses import SMOOTHING, loss_of
from runner.models.metrics import columns_of, metrics_of, of_mixed_labels
from runner.records.metrics import EPOCH, FACTS, PHASE
from runner.training.settings import Train


@dataclass(frozen=True)
class Objectives:
    """The outputs of a task, and the losses and metrics by output that do not follow from their class modes."""

    task: Task
    losses: Mapping[str, Any]
    metrics: Mapping[str, list[keras.metrics.Metric]]

    def without_overlaps(self) -> Objectives:
        """The same without metrics of masks that count pixels."""
        counting = (keras.metrics.IoU, keras.metrics.MeanIoU)
        kept = {
            name: [one for one in metrics if not isinstance(one, counting)] for name, metrics in self.metrics.items()
        }
        return replace(self, metrics=kept)

    def of_mixed_labels(self) -> Objectives:
        """The same for labels that are mixed in training."""
        found = {output.name: of_mixed_labels(self.metrics.get(output.name), output) for output in self.task.outputs}
        return replace(self, metrics={name: metrics for name, metrics in found.items() if metrics is not None})

    def renewed(self) -> dict[str, list[keras.metrics.Metric]]:
        """The metrics once more, with variables of their own, which are made where this is called."""
        return {name: [_copy(metric) for metric in metrics] for name, metrics in self.metrics.items()}


def _copy(metric: keras.metrics.Metric) -> keras.metrics.Metric:
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))


def objectives_of(settings: Train, task: Task) -> Objectives:
    """The losses and metrics that `settings` name for the outputs of `task`.

    Raises `ConfigurationError` with all problems: a name that means nothing for the labels of an output, a part that
    cannot be computed for them, or metrics whose columns have the same name.
    """
    problems: list[str] = []
    losses, metrics, outputs = {}, {}, []
    names = tuple(output.name for output in task.outputs)
    smoothed = _smoothed(settings, task.outputs)
    for output in task.outputs:
        with _noting(problems):
            part, key = _chosen(settings.loss, "train.loss", output.name, names)
            smoothing = settings.label_smoothing if output.name in smoothed else 0.0
            output, loss = loss_of(part, output, key, smoothing=smoothing)
            if loss is not None:
                losses[output.name] = loss
        with _noting(problems):
            parts, key = _chosen(settings.metrics, "train.metrics", output.name, names)
            if parts is not None:
                metrics[output.name] = metrics_of(parts, output, key)
        outputs.append(output)
    if problems:
        raise ConfigurationError(list(dict.fromkeys(problems)))
    found = Objectives(replace(task, outputs=tuple(outputs)), losses, metrics)
    if settings.metrics is not None:
        _refuse_shared(found, has_phases=bool(settings.phases))
    return found


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    """Add the problems of a `ConfigurationError` of the block to `problems`."""
    try:
        yield
    except ConfigurationError as error:
        problems += error.problems


def _smoothed(settings: Train, outputs: tuple[Output, ...]) -> tuple[str, ...]:
    """The outputs whose labels are smoothed: those of classes."""
    classes = tuple(output.name for output in outputs if output.num_classes)
    if settings.label_smoothing and not classes:
        raise ConfigurationError(
            f"train.{SMOOTHING} must be 0 for numbers, which have no classes, got {settings.label_smoothing:g}; leave "
            "it out"
        )
    return classes


def _chosen(value: Any, key: str, name: str, names: tuple[str, ...]) -> tuple[Any, str]:
    """What a key says of the output `name`, and the key that says so."""
    if not isinstance(value, Mapping):
        return value, key
    if unknown := [head for head in value if head not in names]:
        listed = first_few(names, most=len(names))
        raise ConfigurationError(
            f"{key} must be by the names of outputs ({listed}), got {unknown[0]!r}"
            f"{did_you_mean(unknown[0], names) or f'; the first may be written {key}={{{names[0]}: …}}'}"
        )
    return value.get(name), f"{key}.{name}"


def _refuse_shared(objectives: Objectives, *, has_phases: bool) -> None:
    """Raise `ConfigurationError` if two columns of metrics.csv would have the same name."""
    columns = (*FACTS, PHASE) if has_phases else FACTS
    taken = {"loss": "the loss", EPOCH: "the epoch", **dict.fromkeys(columns, "the run")}
    problems = []
    for column, owner in _columns(objectives):
        if (other := taken.get(column)) is not None:
            name = owner.removeprefix("the metric ")  # its column may have the name of an output before it
            problems.append(
                f"train.metrics must fill columns of their own, got {column!r} of {owner}, which {other} has already; "
                f"give one of them another name: {{name: …, arguments: {{name: {name}_2}}}}"
            )
        elif column.startswith("val_"):
            problems.append(f"train.metrics must not begin with val_, as validation does, got {column!r} of {owner}")
        taken[column] = owner
    if problems:
        raise ConfigurationError(problems)


def _columns(objectives: Objectives) -> Iterator[tuple[str, str]]:
    """The columns of the losses and metrics, each with whose it is."""
    outputs = objectives.task.outputs
    for output in outputs:
        prefix = f"{output.name}_" if len(outputs) > 1 else ""
        if prefix:
            yield f"{prefix}loss", f"the loss of {output.name}"
        chosen = objectives.metrics.get(output.name)
        if chosen is None:
            yield from ((f"{prefix}{metric}", f"the metric {metric}") for metric in output.metrics)
        for metric in chosen or ():
            owner = f"the metric {metric.name}"
            trial = _copy(metric)
            yield from (
                (f"{prefix}{column}", owner)
                for column in columns_of(trial, output, f"train.metrics={_name_of(metric)}")
            )


def _name_of(metric: keras.metrics.Metric) -> str:
    """How messages call a metric: one of the user's own by its class, whose file they name."""
    kind = type(metric)
    is_own = kind.__module__.partition(".")[0] not in ("keras", "runner")
    return f"{kind.__module__}.{kind.__qualname__}" if is_own else metric.name
