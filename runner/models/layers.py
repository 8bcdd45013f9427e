"""The last layers of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from runner.models.base import Task
from runner.models.outputs import Output
from runner.models.scaling import unscaled


def model_of(inputs: Any, features: Any, task: Task) -> keras.Model:
    """The model from `inputs` over `features`, shape `(batch, n)`, to the outputs of `task`.

    One output is handed over alone, several as a dict by name. Outputs are float32 whatever the precision of the
    layers before: a float16 softmax has too few digits for a loss.
    """
    if len(task.outputs) == 1:
        return keras.Model(inputs, _attach(features, task.outputs[0], task))
    # A head may be called like a layer (`sample`, `dense`): the dict's keys are the heads' names, layers have others.
    outputs = {
        output.name: _attach(features, replace(output, name=f"{output.name}_output"), task) for output in task.outputs
    }
    return keras.Model(inputs, outputs)


def _attach(features: Any, output: Output, task: Task) -> Any:
    if not output.reconstruction:
        return keras.layers.Dense(output.units, activation=output.activation, dtype="float32", name=output.name)(
            features
        )
    flat = keras.layers.Dense(output.units, dtype="float32", name=f"{output.name}_values")(features)
    return unscaled(keras.layers.Reshape(output.shape)(flat), task.scaling, output.name)
