"""How image files become arrays: size, colours, interpolation, decoder."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from runner.component import Component, Size

ColorMode = Literal["grayscale", "rgb", "rgba"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


class ImageSettings(Component):
    """The keys every source of image files shares."""

    target_size: Size = (256, 256)
    """Height and width every image is resized to, in pixels."""

    color_mode: ColorMode = "rgb"
    """Channels of a sample: 1, 3 or 4."""

    interpolation: Interpolation = "bilinear"
    """The resizing filter."""

    antialias: bool = True
    """Whether shrinking filters out what the smaller image cannot show; `false`: as `image_dataset_from_directory`."""

    keep_aspect_ratio: bool = False
    """Whether to crop the centre to the target's shape before resizing, as Keras does, instead of distorting."""

    decode: Literal["exact", "fast"] = "fast"
    """`exact`: the pixels of `keras.utils.load_img`; `fast`: nearest and bilinear by quicker code, else exact."""

    def pixel_settings(self) -> dict[str, Any]:
        """The keys above with their values: all that decides, beside a file, which pixels it becomes."""
        return self.model_dump(mode="json", include=set(ImageSettings.model_fields))

    @model_validator(mode="after")
    def _antialias_has_a_meaning(self) -> Self:
        quick = self.interpolation in ("nearest", "bilinear")
        if not self.antialias and not (self.decode == "fast" and quick):
            raise ValueError(
                "antialias=false must go with decode=fast and interpolation=bilinear or nearest, "
                f"got decode={self.decode} interpolation={self.interpolation}; "
                "load_img's filters always antialias: set antialias=true, or change the others"
            )
        return self
