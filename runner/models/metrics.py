"""`train.metrics`: the metrics of each output, checked against its labels, and the columns that they fill."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from runner.distribute.devices import on_own_cpu
from runner.errors import ConfigurationError
from runner.messages import plural
from runner.models.base import DICE, Output
from runner.models.encoded_metric import EncodedMetric, LabelledMetric, WholeLabelMetric
from runner.models.own_parts import class_of, construct, example, own_part, refuse_uncomputable, uncomputable
from runner.models.parts import METRICS, OF_CLASSES, OVERLAPS, Part, known_name, unfit_name

SCORES = ("f1_score", "fbeta_score")
OF_COLUMNS = ("r2_score", "pearson_correlation", "concordance_correlation", "binary_crossentropy")
"""Metrics that take a column of numbers, where Keras has no shape of its own for one number per sample."""


def metrics_of(parts: tuple[Part, ...], output: Output, key: str) -> list[keras.metrics.Metric]:
    """The metrics that `parts` name. Raises `ConfigurationError` if one means nothing for the labels of the output."""
    problems = [unfit_name(part, key, output.mode, METRICS[output.mode]) for part in parts]
    if found := [problem for problem in problems if problem is not None]:
        raise ConfigurationError(found)
    return [_own(part, output, key) if part.is_own else _of_keras(part, output, key) for part in parts]


def of_mixed_labels(metrics: list[keras.metrics.Metric] | None, output: Output) -> list[keras.metrics.Metric] | None:
    """The metrics of an output whose labels are mixed in training: those that need whole labels get them.

    None stands for the metrics that follow from the class mode. Those of the user's own get the labels as they are.
    """
    is_one_class = output.mode == "categorical"
    if not is_one_class and output.mode not in ("binary", "multi_label"):
        return metrics
    if metrics is None and not is_one_class:
        metrics = metrics_of(tuple(Part(name=name) for name in output.metrics), output, "train.metrics")
    return metrics and [_of_whole_labels(metric, exclusive=is_one_class) for metric in metrics]


def _of_whole_labels(metric: keras.metrics.Metric, *, exclusive: bool) -> keras.metrics.Metric:
    named = metric.metric if isinstance(metric, LabelledMetric) else metric
    is_function = type(named) is keras.metrics.MeanMetricWrapper
    is_own = is_function or not type(named).__module__.startswith("keras.")
    taking_shares = keras.metrics.MeanMetricWrapper if exclusive else keras.metrics.BinaryCrossentropy
    return metric if is_own or isinstance(named, taking_shares) else WholeLabelMetric(metric, exclusive=exclusive)


def columns_of(metric: keras.metrics.Metric, output: Output, key: str) -> list[str]:
    """The names of the values of `metric`: its own; with several, one for each class of the output.

    Computes it for a few samples, which changes it. Raises `ConfigurationError` if that fails, also within a compiled
    step, or if it has several values that are not those of classes.
    """
    try:
        with on_own_cpu(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric.update_state(*example(output))
            result = metric.result()
            refuse_unnumbered(result, key)
            value = np.asarray(keras.ops.convert_to_numpy(result), np.float64)
    except ConfigurationError:
        raise
    except Exception as error:  # of the user's own code, or of the backend
        raise ConfigurationError(uncomputable(key, output, error)) from error
    if value.ndim == 0:
        return [metric.name]
    names = output.names or tuple(map(str, range(output.units)))
    if value.shape != (len(names),):
        raise ConfigurationError(
            f"{key} must have one value, or one for each of {plural(len(names), 'class', 'classes')}, got "
            f"{plural(value.size, 'value')}"
        )
    return [f"{metric.name}_{name}" for name in names]


def refuse_unnumbered(result: Any, key: str) -> None:
    """Raise `ConfigurationError` if a metric's result cannot be a column, or cannot leave a compiled step."""
    if isinstance(result, keras.Variable) and keras.backend.backend() == "jax":
        raise ConfigurationError(
            f"{key} must return a tensor from result(), got a keras.Variable, which JAX cannot return from a step; "
            "return its value, as in self.total.value"
        )
    if isinstance(result, dict | list | tuple):
        raise ConfigurationError(
            f"{key} must return one tensor from result(), got {len(result)} values; write a metric for each of them"
        )


def _own(part: Part, output: Output, key: str) -> keras.metrics.Metric:
    found = own_part(part, key, keras.metrics.Metric)
    if isinstance(found, keras.metrics.Metric):
        return found
    refuse_uncomputable(found, output, f"{key}={part.name}")
    return keras.metrics.MeanMetricWrapper(found, name=found.__name__)


def _of_keras(part: Part, output: Output, key: str) -> keras.metrics.Metric:
    name = known_name(part.name, METRICS[output.mode]) or part.name
    called, known = _called(name, output, key)
    k = part.arguments.get("k", 5)
    if "top_k" in name and isinstance(k, int) and k >= output.num_classes:
        raise ConfigurationError(
            f"{key}: {part.name} must have k below the number of classes, {output.num_classes}, got {k}: it would "
            f"always be 1; write {{name: {part.name}, k: 2}}"
        )
    column = part.name if part.name.islower() else name  # as Keras, which keeps what was typed
    metric = construct(class_of(keras.metrics, called), {"name": column, **known, **part.arguments}, key, part.name)
    is_sparse = output.mode == "sparse" and called in (*OF_CLASSES, "kl_divergence")
    is_column = output.shape == (1,) and called in (*SCORES, *OF_COLUMNS)
    if is_sparse or is_column:
        return EncodedMetric(metric, output.num_classes if is_sparse else 1)
    return metric


def _called(name: str, output: Output, key: str) -> tuple[str, dict[str, Any]]:
    """The metric of Keras that `name` means for the labels of an output, and arguments that follow from the task."""
    has_codes = output.mode == "sparse" or (output.mode == "mask" and output.loss != DICE)
    if output.ignored is not None and (name not in OVERLAPS or not has_codes):
        raise ConfigurationError(
            f"{key} must leave out {name} for masks with ignored pixels, which it would count as wrong; mean_iou with "
            "the loss sparse_categorical_crossentropy leaves them out"
        )
    if name in OVERLAPS:
        known = {"num_classes": output.num_classes, "sparse_y_true": has_codes, "sparse_y_pred": False}
        return name, known | ({"ignore_class": output.ignored} if output.is_mask else {})
    if name == "accuracy":
        kinds = {"binary": "binary_accuracy", "categorical": "categorical_accuracy"}
        return kinds.get(output.mode, "sparse_categorical_accuracy" if has_codes else "categorical_accuracy"), {}
    if name == "top_k_categorical_accuracy" and has_codes:
        return "sparse_top_k_categorical_accuracy", {}
    if name in SCORES and output.activation == "sigmoid":
        return name, {"threshold": 0.5, **({"average": "micro"} if output.shape == (1,) else {})}
    return name, {}
