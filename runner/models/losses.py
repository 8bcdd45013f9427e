"""`train.loss` and `train.label_smoothing`: the loss of each output, checked against its labels."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import keras
from keras.src.losses.losses import LossFunctionWrapper

from runner.errors import ConfigurationError
from runner.models.base import DICE, Output
from runner.models.own_parts import class_of, construct, own_part, refuse_uncomputable
from runner.models.parts import CROSS_ENTROPY, LOSSES, Part, known_name, unfit_name

SMOOTHING = "label_smoothing"


def loss_of(part: Part | None, output: Output, key: str, *, smoothing: float) -> tuple[Output, Any]:
    """The output with the loss that `part` names, and the loss; None for it if it follows from the class mode.

    Raises `ConfigurationError`, in which `key` names the part, if the loss means nothing for the labels of the output,
    cannot be computed, or does not smooth labels although `smoothing` is above 0.
    """
    if part is None and not smoothing:
        return output, None
    if part is not None and part.is_own:
        if smoothing:
            raise ConfigurationError(
                f"train.{SMOOTHING} must be 0 with {key}={part.name}, a loss of yours, got {smoothing:g}; smooth the "
                "labels there"
            )
        loss, output = own_part(part, key, keras.losses.Loss), replace(output, loss=LOSSES[output.mode][0])
        tried = loss if isinstance(loss, keras.losses.Loss) else LossFunctionWrapper(loss)  # as Keras compiles it
        refuse_uncomputable(tried, output, f"{key}={part.name}")
        return output, loss
    name = _name(part, output, key)
    if name != DICE and output.loss == DICE:
        raise ConfigurationError(f"{key} must be null with model.loss=dice, got {name}; leave one of them out")
    output = replace(output, loss=DICE if name == DICE else output.loss)
    arguments = _arguments(part, name, output, smoothing)
    loss = construct(class_of(keras.losses, name), arguments, key, name)
    refuse_uncomputable(loss, output, f"{key}={name}")
    return output, loss


def _name(part: Part | None, output: Output, key: str) -> str:
    """The name of the loss as `LOSSES` has it."""
    fitting = LOSSES[output.mode]
    is_plain = part is not None and known_name(part.name, (CROSS_ENTROPY,)) is not None and CROSS_ENTROPY in fitting[0]
    if part is None or is_plain:
        return DICE if output.loss == DICE and part is None else fitting[0]
    if (problem := unfit_name(part, key, output.mode, fitting)) is not None:
        raise ConfigurationError(problem)
    return known_name(part.name, fitting) or fitting[0]


def _arguments(part: Part | None, name: str, output: Output, smoothing: float) -> dict[str, Any]:
    """The arguments of the loss: the user's, and those that follow from the task."""
    given = {} if part is None else part.arguments
    known: dict[str, Any] = {"name": name}
    if output.is_mask:
        known |= {"axis": (1, 2)} if name == DICE else {"ignore_class": output.ignored}
    if not smoothing:
        return {**known, **given}
    if SMOOTHING in given:
        raise ConfigurationError(
            f"train.{SMOOTHING} must be 0 next to the {SMOOTHING} of train.loss, got {smoothing:g}; leave one out"
        )
    if SMOOTHING not in inspect.signature(class_of(keras.losses, name)).parameters:
        raise ConfigurationError(f"train.{SMOOTHING} must be 0 with the loss {name}, {_why_not(output, smoothing)}")
    return {**known, **given, SMOOTHING: smoothing}


def _why_not(output: Output, smoothing: float) -> str:
    if output.mode == "sparse":
        return (
            f"whose labels are class codes, got {smoothing:g}; set class_mode=categorical, which has the same classes "
            "as one-hot labels"
        )
    return f"which has no {SMOOTHING}, got {smoothing:g}; leave it out"
