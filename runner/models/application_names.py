"""The networks of `keras.applications`, and how each wants its pixels."""

from __future__ import annotations

from typing import Literal

from runner.models.base import Scaling

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
    """What the `preprocess_input` of the network's module does to pixels from 0 to 255.

    `builtin` networks take the pixels as they are: the first layers scale them.
    """
    if name.startswith(("ConvNeXt", "EfficientNet", "MobileNetV3")):
        return "builtin"
    if name.startswith("DenseNet"):
        return "torch"
    if name.startswith("VGG") or (name.startswith("ResNet") and not name.endswith("V2")):
        return "caffe"
    return "signed"


def takes_any_scaling(name: ApplicationName) -> bool:
    """Whether the layers that scale can be left out; those of the first EfficientNets cannot."""
    return not name.startswith("EfficientNetB")
