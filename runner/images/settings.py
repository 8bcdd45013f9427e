"""Settings of image files: size, colours, interpolation, decoder."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from runner.component import Component, Size

ColorMode = Literal["grayscale", "rgb", "rgba"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


class ImageSettings(Component):
    """Keys of all data that is image files."""

    target_size: Size = (256, 256)
    """Height and width of every image after resizing, in pixels."""

    color_mode: ColorMode = "rgb"
    """Channels of a sample: grayscale 1, rgb 3, rgba 4."""

    interpolation: Interpolation = "bilinear"
    """The resizing filter."""

    antialias: bool = True
    """Whether to smooth an image before it shrinks; false: like `image_dataset_from_directory`."""

    keep_aspect_ratio: bool = False
    """Whether to crop the centre to the target's aspect ratio before resizing, like Keras; false: distort the image."""

    decode: Literal["exact", "fast"] = "fast"
    """`exact`: the pixels of `keras.utils.load_img`; `fast`: faster code for nearest and bilinear, otherwise exact."""

    def pixel_settings(self) -> dict[str, Any]:
        """The keys above with their values: with a file, they determine its pixels."""
        return self.model_dump(mode="json", include=set(ImageSettings.model_fields))

    @model_validator(mode="after")
    def _check_antialias(self) -> Self:
        fast = self.interpolation in ("nearest", "bilinear")
        if not self.antialias and not (self.decode == "fast" and fast):
            raise ValueError(
                "antialias=false must go with decode=fast and interpolation=bilinear or nearest, "
                f"got decode={self.decode} interpolation={self.interpolation}; "
                "load_img's filters always antialias: set antialias=true, or change the others"
            )
        return self
