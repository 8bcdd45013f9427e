"""One model, exported: loaded on TensorFlow, written in each format, and compared with each, batch by batch."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from runner.batch import Array
from runner.errors import ConfigurationError, RunnerError
from runner.exports.agreement import TOLERANCE, TOLERANCE_OF_16_BITS, Agreement
from runner.exports.process import BEGUN
from runner.exports.runtimes import RUNTIMES, Port, Runtime
from runner.messages import first_few
from runner.models.layers import any_input_names
from runner.records.contents import file_digest
from runner.training.model_file import model_digest
from runner.training.settings import Format
from runner.user_code import load as load_code

FILES: dict[Format, str] = {"onnx": "model.onnx", "litert": "model.tflite", "saved_model": "saved_model"}
"""The file of each format, or its folder."""

KERAS_NAMES: dict[Format, str] = {"onnx": "onnx", "litert": "litert", "saved_model": "tf_saved_model"}
"""The formats as `keras.Model.export` calls them."""

IN_32_BITS: tuple[Format, ...] = ("onnx", "litert")
"""Formats whose models compute in float32 where the model itself computes in 16 bits: for want of operations."""

FLEX = re.compile(r"\(Flex(\w+)\)")
FAILED_LAYER = re.compile(r"Exception encountered when calling (\w+)\.call")
UNKNOWN_LAYER = re.compile(r"Could not locate class '(\w+)'")

Inputs = Array | Mapping[str, Array]
"""A batch as a loader gives it: one array, or several by name."""


@dataclass
class ExportedModel:
    """A model in one format; `failed` says why there is none, or it cannot be used."""

    format: Format
    file: Path
    runtime: Runtime | None = None
    agreements: dict[str, Agreement] = field(default_factory=dict)
    failed: str | None = None

    def fail(self, error: Exception) -> None:
        """Give the model up, and remove its file: nobody has seen it work."""
        self.failed, self.runtime = _first_line(error), None
        if self.file.is_dir():
            shutil.rmtree(self.file)
        self.file.unlink(missing_ok=True)


class ExportSession:
    """A model of `file`, and what becomes of it in other formats, in `folder`.

    `modes` are the class modes of its outputs, by name; `targets` the user's own code that it needs.
    """

    def __init__(self, file: Path, folder: Path, modes: Mapping[str, str], targets: Sequence[str] = ()) -> None:
        self._file, self._folder, self._modes = file, folder, modes
        self._model = _without_tensors(_loaded(file, targets))
        self._exported: list[ExportedModel] = []
        self._has_16_bits = any(
            layer.compute_dtype in ("float16", "bfloat16") for layer in self._model._flatten_layers(include_self=False)
        )
        self.tolerance = TOLERANCE_OF_16_BITS if self._has_16_bits else TOLERANCE

    @property
    def facts(self) -> dict[str, Any]:
        """Number and digest of the weights, and the tolerance."""
        return {
            "num_weights": self._model.count_params(),
            "weights": model_digest(self._model),
            "tolerance": self.tolerance,
        }

    def export(self, name: Format, x: Inputs) -> dict[str, Any]:
        """Write the model in one format, and load it; `x` is a batch that it takes. Returns what there is to know."""
        one = ExportedModel(name, self._folder / FILES[name])
        self._exported.append(one)
        try:
            self._expected(x)  # a model that has never been called has no signature
            self._write(one, x)
            one.runtime = RUNTIMES[name](one.file)
            return {
                "path": one.file.name,
                "bytes": sum(file.stat().st_size for file in _files(one.file)),
                "digest": _digest(one.file),
                "inputs": self._inputs(one.runtime, x),
                "outputs": self._outputs(one.runtime, x),
            }
        except Exception as error:  # converters raise whatever they like
            one.fail(error)
            return {"failed": one.failed}

    def _write(self, one: ExportedModel, x: Inputs) -> None:
        """Write to a temporary folder first: a file with its final name is whole."""
        begun = self._folder / BEGUN
        begun.mkdir(parents=True, exist_ok=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of converters about their own code
                temporary = begun / one.file.name
                model = self._model
                if self._has_16_bits and one.format in IN_32_BITS:
                    model = _without_tensors(_in_32_bits(model))
                    model(self._given(x))
                model.export(str(temporary), format=KERAS_NAMES[one.format], verbose=False)
            temporary.replace(one.file)
        finally:
            shutil.rmtree(begun, ignore_errors=True)

    def compare(self, x: Inputs) -> None:
        """Compare all formats with the model on one batch."""
        expected = self._expected(x)
        for one in self._exported:
            if one.runtime is None:
                continue
            try:
                found = one.runtime.predict(self._named(one.runtime, x))
            except Exception as error:  # runtimes, too
                one.fail(error)
                continue
            for name, port in self._paired(one.runtime, expected).items():
                agreement = one.agreements.setdefault(name, Agreement(self._mode(name), self.tolerance))
                agreement.update(expected[name], found[port.name])

    def results(self) -> dict[str, Any]:
        """For each format the agreement of each output, or why there is none."""
        return {
            one.format: {"failed": one.failed}
            if one.failed
            else {"agreement": {name: each.document() for name, each in one.agreements.items()}}
            for one in self._exported
        }

    def _expected(self, x: Inputs) -> dict[str, Array]:
        """The outputs of the model itself, by name; a single one has the name of its head."""
        found = self._model.predict_on_batch(self._given(x))
        if isinstance(found, Mapping):
            return {name: np.asarray(values) for name, values in found.items()}
        values = found if isinstance(found, list | tuple) else [found]
        return {name: np.asarray(one) for name, one in zip(self._modes, values, strict=True)}

    def _given(self, x: Inputs) -> Inputs:
        """A batch as the model takes it."""
        return {name: _cast(values) for name, values in x.items()} if isinstance(x, Mapping) else _cast(x)

    def _named(self, runtime: Runtime, x: Inputs) -> dict[str, Array]:
        ports = {port.name: port for port in runtime.inputs}
        return {port: _cast(values, ports[port].dtype) for port, values in self._by_port(runtime, x).items()}

    def _by_port(self, runtime: Runtime, x: Inputs) -> dict[str, Array]:
        """The arrays of a batch by the names of a runtime's inputs."""
        if not isinstance(x, Mapping):
            [port] = runtime.inputs
            return {port.name: x}
        tensors = self._model.input if isinstance(getattr(self._model, "input", None), Mapping) else {}
        return {getattr(tensors.get(field), "name", field): values for field, values in x.items()}

    def _inputs(self, runtime: Runtime, x: Inputs) -> list[dict[str, Any]]:
        fields = dict(x) if isinstance(x, Mapping) else {"": x}
        ports = {port.name: port for port in runtime.inputs}
        named = zip(fields, self._by_port(runtime, x), strict=True)
        return [{"field": field or None, **asdict(ports[name])} for field, name in named]

    def _outputs(self, runtime: Runtime, x: Inputs) -> list[dict[str, Any]]:
        paired = self._paired(runtime, self._expected(x))
        return [{"head": head, **asdict(port)} for head, port in paired.items()]

    def _paired(self, runtime: Runtime, expected: Mapping[str, Array]) -> dict[str, Port]:
        """The output of a runtime that each output of the model became: by name, else by position."""
        ports = {port.name: port for port in runtime.outputs}
        if expected.keys() == ports.keys():
            return {name: ports[name] for name in expected}
        return dict(zip(expected, runtime.outputs, strict=True))

    def _mode(self, name: str) -> str:
        return self._modes.get(name, "raw")


def _loaded(file: Path, targets: Sequence[str]) -> keras.Model:
    """The model, on TensorFlow. Raises `ConfigurationError` if a layer of it needs another backend."""
    for target in targets:
        load_code(target)
    try:
        with any_input_names():
            return keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras passes on the errors of the user's classes
        if found := FAILED_LAYER.search(str(error)):
            raise ConfigurationError(
                f"mode=export computes the model on TensorFlow, and the layer {found[1]} of {file} cannot be: "
                f"{_reason(error)}; write it with keras.ops, and train again"
            ) from error
        if found := UNKNOWN_LAYER.search(str(error)):
            raise ConfigurationError(
                f"{file} needs the class {found[1]}, which Keras does not find; register it at the top level of the "
                "module that model.target names"
            ) from error
        raise RunnerError(f"{file} cannot be loaded as a Keras model: {_first_line(error)}") from error


def _reason(error: Exception) -> str:
    """What a layer raised, without Keras's words around it."""
    text = FAILED_LAYER.split(str(error))[-1].rpartition("Error encountered:")[2]
    lines = [re.sub(r"\x1b\[\dm", "", line).strip(" ().") for line in text.splitlines()]
    return next((line for line in lines if line), type(error).__name__)


def _first_line(error: Exception) -> str:
    if missing := list(dict.fromkeys(FLEX.findall(str(error)))):
        return f"LiteRT has no operation {first_few(missing)}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _without_tensors(model: keras.Model) -> keras.Model:
    """`model`, whose layers hold arrays where they held constant tensors, as Normalization does.

    tf2onnx would make each of these tensors a further input of the model (tf2onnx 1.17).
    """
    import tensorflow as tf

    for layer in model._flatten_layers():
        for name, value in list(vars(layer).items()):
            if isinstance(value, tf.Tensor):
                setattr(layer, name, value.numpy())
    return model


def _in_32_bits(model: keras.Model) -> keras.Model:
    """A copy of `model` that computes in float32: runtimes of small devices have no operations in 16 bits."""

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        return type(layer).from_config({**config, "dtype": "float32"} if "dtype" in config else config)

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _cast(values: Array, dtype: str = "float32") -> Array:
    return values if values.dtype.kind in "US" else np.ascontiguousarray(values, dtype)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _digest(path: Path) -> str:
    """The digest of a file; of a folder, that of the names and digests of its files."""
    import xxhash

    if path.is_file():
        return file_digest(path)
    lines = [f"{file.relative_to(path).as_posix()} {file_digest(file)}\n" for file in _files(path)]
    return xxhash.xxh3_128_hexdigest("".join(lines).encode())
