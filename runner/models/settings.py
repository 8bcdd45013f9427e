"""The base of every model component."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from runner.components import Component

if TYPE_CHECKING:
    import keras

    from runner.models.outputs import Outputs
    from runner.samples import ArraySpec


class ModelSettings(Component):
    """A model's own settings; input and outputs follow from the data."""

    @abstractmethod
    def build(self, spec: ArraySpec, outputs: Outputs) -> keras.Model:
        """The model, not compiled, for samples of `spec` and the given outputs.

        Raises `ConfigurationError` if this kind cannot take samples of that shape.
        """
