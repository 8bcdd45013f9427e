"""Which layers of a model are trained: the last ones of its backbone, all of them or none; outputs always are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras

from runner.errors import ConfigurationError
from runner.messages import plural


def train_last(layers: Sequence[keras.layers.Layer], trainable: bool | int) -> None:
    """Train all of `layers` (True), none of them (False), or as many of the last ones; layers within them alike."""
    num_frozen = len(layers) - trainable if trainable is not True and trainable is not False else 0
    for number, layer in enumerate(layers):
        layer.trainable = trainable is not False and number >= num_frozen


class TrainableLayers:
    """The layers of a model that phases of a training freeze, and whether each was trainable as the model was built.

    They are those of the networks within the model, such as one of `keras.applications`; of a model without a network
    in it, all layers before the outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._built = [(layer, layer.trainable) for layer in model._flatten_layers(include_self=False)]
        self._networks, self._layers = _backbone(model)

    def set(self, trainable: bool | int | None, called: str, *, freeze_batch_norm: bool = False) -> None:
        """Train these layers of the backbone, as in `train_last`; None: as the model was built.

        Only a compiled model can be trained again after this. `called` names the key in messages. Raises
        `ConfigurationError` if the backbone has fewer layers than `trainable`.
        """
        for layer, was_trainable in self._built:  # outer layers first: they set those within
            layer.trainable = was_trainable
        if trainable is not None:
            self._refuse(trainable, called)
            for network in self._networks:
                network.trainable = True
            train_last(self._layers, trainable)
        if freeze_batch_norm:
            for layer, _ in self._built:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False

    def describe(self) -> str:
        """How many layers and weights are trained now."""
        having = [layer for layer, _ in self._built if layer.weights and not layer._layers]
        trained, weights = sum(bool(layer.trainable_weights) for layer in having), self._model.count_params()
        return f"{trained:,} of {plural(len(having), 'layer')}, {self.num_trained_weights:,} of {weights:,} weights"

    @property
    def num_trained_weights(self) -> int:
        """How many numbers are trained now."""
        return sum(math.prod(weight.shape) for weight in self._model.trainable_weights)

    def _refuse(self, trainable: bool | int, called: str) -> None:
        if not any(layer.variables for layer in self._layers):
            raise ConfigurationError(
                f"{called} must be left out for this model, which has no layers with weights before its outputs, got "
                f"{str(trainable).lower()}"
            )
        if trainable > len(self._layers):
            raise ConfigurationError(
                f"{called} must be true, false or at most {len(self._layers)}, the layers before the outputs, got "
                f"{trainable}"
            )


def _backbone(model: keras.Model) -> tuple[list[keras.layers.Layer], list[keras.layers.Layer]]:
    """The networks in a model, and their layers; without one, the layers before those that make the outputs."""
    layers, having = model.layers, [layer for layer in model.layers if layer.weights]
    while len(having) == 1 and isinstance(having[0], keras.Model):  # wrapped in nothing but scaling
        layers, having = having[0].layers, [layer for layer in having[0].layers if layer.weights]
    num_outputs = len(keras.tree.flatten(getattr(model, "outputs", None) or [None]))
    outputs = having[-num_outputs:]
    networks = [layer for layer in layers if isinstance(layer, keras.Model) and layer not in outputs]
    if networks:
        return networks, [layer for network in networks for layer in network.layers]
    return [], [layer for layer in layers if layer not in outputs]
