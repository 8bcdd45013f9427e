"""`model=application`: a network of `keras.applications`, with the scaling of pixels that it expects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from runner.batch import ArraySpec
from runner.component import File, Fraction, is_file, is_folder
from runner.errors import ConfigurationError, DataError
from runner.fields import SampleSpec
from runner.models.base import ModelSettings, Scaling, Task

if TYPE_CHECKING:
    import keras

ApplicationName = Literal[
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "DenseNet121", "DenseNet169", "DenseNet201",
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5",
    "EfficientNetB6", "EfficientNetB7",
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L",
    "EfficientNetV2M", "EfficientNetV2S",
    "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small",
    "NASNetLarge", "NASNetMobile",
    "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2",
    "VGG16", "VGG19", "Xception",
]  # fmt: skip


def preprocessing(name: ApplicationName) -> Scaling:
    """The scaling that `preprocess_input` of the network's module applies to pixels from 0 to 255.

    Networks with `builtin` scaling take unscaled pixels: their first layers scale.
    """
    if name.startswith(("ConvNeXt", "EfficientNet", "MobileNetV3")):
        return "builtin"
    if name.startswith("DenseNet"):
        return "torch"
    if name.startswith("VGG") or (name.startswith("ResNet") and not name.endswith("V2")):
        return "caffe"
    return "signed"


def takes_any_scaling(name: ApplicationName) -> bool:
    """Whether the network can be built without its scaling layers; the first EfficientNets cannot."""
    return not name.startswith("EfficientNetB")


class Application(ModelSettings):
    """A well-known network without its top, with pooling, and outputs for the data."""

    kind: Literal["application"] = "application"

    name: ApplicationName
    """The network, by its name in `keras.applications`."""

    weights: File | None = None
    """The initial weights, a file or a run's folder; null: random weights. Nothing is downloaded."""

    trainable: bool | Annotated[int, Field(ge=1)] = True
    """Whether the network is trained, or the number of its last layers to train; outputs are always trained."""

    pooling: Literal["avg", "max"] = "avg"
    """How the network's feature maps become features."""

    dropout: Fraction = 0.2
    """Share of the features to drop in training."""

    @model_validator(mode="after")
    def _weights_are_a_file(self) -> Self:
        if self.weights is not None and str(self.weights) == "imagenet":
            raise ValueError(
                "weights must be null, a file or a run's folder, got 'imagenet': nothing is downloaded; on a machine "
                f"with internet access, save keras.applications.{self.name}(include_top=False) as a .keras file"
            )
        return self

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The weights, if they do not exist."""
        if self.weights is not None and not (is_file(self.weights) or is_folder(self.weights)):
            yield "weights", self.weights

    def automatic_scaling(self, spec: SampleSpec) -> Scaling:
        """The network's own preprocessing of values from 0 to 255."""
        return preprocessing(self.name)

    def build(self, task: Task) -> keras.Model:
        """The network as one layer over the scaled images, then the outputs.

        Samples have shape `(height, width, 3)`. Raises `DataError` if they are too small for the network.
        """
        import keras

        from runner.models.layers import beside, model_of, scaled_input

        name, spec = task.main_input("application", lambda shape: len(shape) == 3)
        self._refuse(task, spec)
        inputs, scaled = scaled_input(task.spec, task.scaling, image=name or None)
        x = beside(self._network(task, spec)(scaled[name] if name else scaled), scaled, name)
        if self.dropout:
            x = keras.layers.Dropout(self.dropout)(x)
        return model_of(inputs, x, task)

    def _refuse(self, task: Task, spec: ArraySpec) -> None:
        if len(spec.shape) != 3 or spec.shape[-1] != 3:
            raise DataError(
                f"model=application needs samples of shape (height, width, 3), got {spec.shape}; "
                "choose data.color_mode=rgb for images, another model for anything else"
            )
        if any(output.reconstruction for output in task.outputs):
            raise ConfigurationError(
                "model=application must predict labels, got data.class_mode=input; choose model=cnn or mlp"
            )
        if task.scaling not in ("builtin", "none") and not takes_any_scaling(self.name):
            raise ConfigurationError(
                f"data.scale must be auto or none with model.name={self.name}, which scales its input itself, "
                f"got {task.scaling}"
            )

    def _network(self, task: Task, spec: ArraySpec) -> keras.Model:
        import keras

        from runner.models.pretrained import load_weights

        try:
            network = getattr(keras.applications, self.name)(
                include_top=False,
                weights=None,
                input_shape=spec.shape,
                pooling=self.pooling,
                **self._own_scaling(task.scaling),
            )
        except ValueError as error:
            size = "×".join(map(str, spec.shape[:2]))
            raise DataError(
                f"model.name={self.name} cannot take images of {size}: {error}; give a larger data.target_size"
            ) from error
        if self.weights is not None:
            load_weights(network, self.weights)
        self._freeze(network)
        return network

    def _own_scaling(self, scaling: Scaling) -> dict[str, Any]:
        optional = preprocessing(self.name) == "builtin" and takes_any_scaling(self.name)
        return {"include_preprocessing": scaling == "builtin"} if optional else {}

    def _freeze(self, network: keras.Model) -> None:
        if isinstance(self.trainable, bool):
            network.trainable = self.trainable
            return
        if self.trainable > len(network.layers):
            raise ConfigurationError(
                f"model.trainable must be true, false or at most {len(network.layers)}, the layers of {self.name}, "
                f"got {self.trainable}"
            )
        for layer in network.layers[: -self.trainable]:
            layer.trainable = False
