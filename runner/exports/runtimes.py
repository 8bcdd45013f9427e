"""Exported models as those who use them load them: one class for each format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from runner.batch import Array
from runner.training.settings import Format


@dataclass(frozen=True)
class Port:
    """An input or output of an exported model: its name there, its shape with None for the batch, and its dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Runtime(ABC):
    """An exported model that is loaded; its inputs and outputs."""

    inputs: list[Port]
    outputs: list[Port]

    @abstractmethod
    def predict(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, for a batch of inputs by name."""


class OnnxRuntime(Runtime):
    """A `.onnx` file in ONNX Runtime, on the CPU."""

    DTYPES: ClassVar = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}

    def __init__(self, file: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = map(self._ports, (self._session.get_inputs(), self._session.get_outputs()))

    def _ports(self, found: Any) -> list[Port]:
        return [
            Port(
                one.name,
                tuple(length if isinstance(length, int) else None for length in one.shape),
                self.DTYPES.get(one.type, one.type.removeprefix("tensor(").removesuffix(")")),
            )
            for one in found
        ]

    def predict(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, for a batch of inputs by name."""
        names = [port.name for port in self.outputs]
        return dict(zip(names, self._session.run(names, dict(x)), strict=True))


class LiteRT(Runtime):
    """A `.tflite` file in LiteRT's interpreter; a batch of another size resizes its inputs."""

    def __init__(self, file: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(file))
        [(name, names)] = interpreter.get_signature_list().items()
        self._run = interpreter.get_signature_runner(name)
        inputs, outputs = self._run.get_input_details(), self._run.get_output_details()
        self.inputs = [self._port(name, inputs[name]) for name in names["inputs"]]
        self.outputs = [self._port(name, outputs[name]) for name in names["outputs"]]

    def _port(self, name: str, details: Mapping[str, Any]) -> Port:
        shape = (None, *details["shape"].tolist()[1:])
        return Port(name, shape, np.dtype(details["dtype"]).name)

    def predict(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, for a batch of inputs by name."""
        found: dict[str, Array] = self._run(**x)
        return found


class SavedModel(Runtime):
    """A SavedModel in TensorFlow, by its signature `serving_default`."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._loaded = tf.saved_model.load(str(folder))
        self._serve = self._loaded.signatures["serving_default"]
        self._tensor = tf.constant
        _, inputs = self._serve.structured_input_signature
        self.inputs = [self._port(name, spec) for name, spec in sorted(inputs.items())]
        self.outputs = [self._port(name, spec) for name, spec in sorted(self._serve.structured_outputs.items())]

    def _port(self, name: str, spec: Any) -> Port:
        return Port(name, tuple(spec.shape), spec.dtype.name)

    def predict(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, for a batch of inputs by name."""
        found = self._serve(**{name: self._tensor(values) for name, values in x.items()})
        return {name: values.numpy() for name, values in found.items()}


RUNTIMES: dict[Format, type[OnnxRuntime] | type[LiteRT] | type[SavedModel]] = {
    "onnx": OnnxRuntime,
    "litert": LiteRT,
    "saved_model": SavedModel,
}
