"""Settings of `data.augment`: random augmentation of training images, named like Keras's `Random…` layers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from runner.component import Component, Fraction, Size

Share = Annotated[float, Field(ge=0, le=1)]
Flip = Literal["horizontal", "vertical", "horizontal_and_vertical"]
FillMode = Literal["reflect", "wrap", "constant", "nearest"]


class Augment(Component):
    """Random augmentation of training images, drawn for each image each time; null and 0 turn a part off."""

    flip: Flip | None = None
    """Flip half of the images: horizontal (left to right), vertical, or horizontal_and_vertical; null: none."""

    crop: Size | None = None
    """Height and width of a random crop; in other splits the largest centred part is resized to them."""

    translation: Annotated[tuple[Fraction, Fraction], Strict(False)] | None = None
    """Move by up to these shares of height and width, in either direction; null: do not move."""

    rotation: Share = 0.0
    """Rotate by up to this share of a full turn, in either direction: 0.1 is 36 degrees."""

    zoom: Fraction = 0.0
    """Show 1 - zoom to 1 + zoom times the height and width of the image."""

    brightness: Share = 0.0
    """Add or subtract up to this share of 255 to all pixels; only for 8-bit images."""

    contrast: Share = 0.0
    """Multiply differences from a channel's mean by 1 - contrast to 1 + contrast; only for 8-bit images."""

    fill_mode: FillMode = "reflect"
    """Fill outside of a moved image: reflect (d c b a|a b c d), wrap (its other side), constant (0), nearest."""

    @property
    def moves(self) -> bool:
        """Whether images are moved, rotated or zoomed, which needs interpolation."""
        return any(self.translation or ()) or bool(self.rotation or self.zoom)

    @property
    def tones(self) -> bool:
        """Whether pixel values change."""
        return bool(self.brightness or self.contrast)

    def __bool__(self) -> bool:
        return self.moves or self.tones or bool(self.flip or self.crop)
