"""`model=application`: a network of `keras.applications`, with the scaling of pixels that it expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr

from runner.batch import ArraySpec
from runner.component import File, Fraction, is_file, is_folder
from runner.errors import ConfigurationError, DataError
from runner.fields import SampleSpec
from runner.models.base import ModelSettings, Scaling, Task, WeightsFile

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

    weights: Literal["imagenet"] | File | None = None
    """The initial weights: imagenet, those of Keras, which it downloads once; a file or a run's folder; null: random
    weights."""

    trainable: bool | Annotated[int, Field(ge=1)] = True
    """Whether the network is trained, or the number of its last layers to train; outputs are always trained."""

    pooling: Literal["avg", "max"] = "avg"
    """How the network's feature maps become features."""

    _loads: bool = PrivateAttr(default=True)
    """Whether `build` loads the initial weights."""

    dropout: Fraction = 0.2
    """Share of the features to drop in training."""

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The weights, if they do not exist."""
        if isinstance(self.weights, Path) and not (is_file(self.weights) or is_folder(self.weights)):
            yield "weights", self.weights

    def initial_weights(self, task: Task) -> WeightsFile | None:
        """The file that `build` loads weights from; None if they are random. It is downloaded if it has to be."""
        from runner.records.folder import MODEL

        if not isinstance(self.weights, Path):
            return self._named(self._images(task)[1].shape) if self.fetches_weights else None

        return WeightsFile(self.weights / MODEL if is_folder(self.weights) else self.weights)

    def fetch_weights(self, size: tuple[int, int] | None) -> None:
        """Download the initial weights for images of `size` (height, width), if they have to be.

        Without a size, only those that fit images of all sizes. Raises `ConfigurationError` if they cannot be.
        """
        if size is None:
            from runner.models.imagenet import fetch_for_all_sizes

            fetch_for_all_sizes(self.name)
            return
        with suppress(DataError):  # a size that the network cannot take is refused when it is built
            self._named((*size, 3))

    @property
    def fetches_weights(self) -> bool:
        """Whether the initial weights are chosen by name."""
        return self.weights == "imagenet"

    def without_initial_weights(self) -> Self:
        """The settings of the same network whose weights come from elsewhere: `build` reads no file."""
        other = self.model_copy()
        other._loads = False
        return other

    def automatic_scaling(self, spec: SampleSpec) -> Scaling:
        """The network's own preprocessing of values from 0 to 255."""
        return preprocessing(self.name)

    def build(self, task: Task) -> keras.Model:
        """The network as one layer over the scaled images, then the outputs.

        Samples have shape `(height, width, 3)`. Raises `DataError` if they are too small for the network.
        """
        import keras

        from runner.models.layers import beside, model_of, scaled_input

        name, spec = self._images(task)
        inputs, scaled = scaled_input(task.spec, task.scaling, image=name or None)
        x = beside(self._network(task, spec)(scaled[name] if name else scaled), scaled, name)
        if self.dropout:
            x = keras.layers.Dropout(self.dropout)(x)
        return model_of(inputs, x, task)

    def _images(self, task: Task) -> tuple[str, ArraySpec]:
        """Name and spec of the images that the network takes; refuses a task that it cannot have."""
        name, spec = task.main_input("application", lambda shape: len(shape) == 3)
        self._refuse(task, spec)
        return name, spec

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

        from runner.models import imagenet
        from runner.models.pretrained import load_weights

        build = partial(
            getattr(keras.applications, self.name),
            include_top=False,
            weights="imagenet" if self.fetches_weights else None,
            input_shape=spec.shape,
            pooling=self.pooling,
            **self._own_scaling(task.scaling),
        )
        with self._refusing_size(spec.shape):
            if not self.fetches_weights:
                network = build()
            elif self._loads:
                network = imagenet.with_weights(build, imagenet.fetch(self.name, spec.shape))
            else:
                network = imagenet.without_weights(build)
        if isinstance(self.weights, Path) and self._loads:
            load_weights(network, self.weights)
        self._freeze(network)
        return network

    def _named(self, shape: tuple[int, ...]) -> WeightsFile:
        """The file of weights by name, for images of `shape`."""
        from runner.models.imagenet import fetch

        with self._refusing_size(shape):
            return fetch(self.name, shape)

    @contextmanager
    def _refusing_size(self, shape: tuple[int, ...]) -> Iterator[None]:
        """Raise `DataError` if the block finds that the network cannot take images of `shape`."""
        try:
            yield
        except ValueError as error:
            size = "×".join(map(str, shape[:2]))
            raise DataError(
                f"model.name={self.name} cannot take images of {size}: {error}; give a larger data.target_size"
            ) from error

    def _own_scaling(self, scaling: Scaling) -> dict[str, Any]:
        optional = preprocessing(self.name) == "builtin" and takes_any_scaling(self.name)
        return {"include_preprocessing": scaling == "builtin"} if optional else {}

    def _freeze(self, network: keras.Model) -> None:
        from runner.models.trainable import train_last

        if isinstance(self.trainable, bool):
            network.trainable = self.trainable
            return
        if self.trainable > len(network.layers):
            raise ConfigurationError(
                f"model.trainable must be true, false or at most {len(network.layers)}, the layers of {self.name}, "
                f"got {self.trainable}"
            )
        train_last(network.layers, self.trainable)
