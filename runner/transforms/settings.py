"""How training images are changed at random: `data.augment`, in the words of Keras's `Random…` layers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from runner.component import Component, Fraction, Size

Share = Annotated[float, Field(ge=0, le=1)]
Flip = Literal["horizontal", "vertical", "horizontal_and_vertical"]
FillMode = Literal["reflect", "wrap", "constant", "nearest"]


class Augment(Component):
    """Changes of training images, drawn anew for each image in each epoch; what is null or 0 changes nothing."""

    flip: Flip | None = None
    """Mirror half of the images: horizontal (left to right), vertical, or horizontal_and_vertical; null: none."""

    crop: Size | None = None
    """Height and width of a part cut out anywhere; of other splits the largest centred part is resized to it."""

    translation: Annotated[tuple[Fraction, Fraction], Strict(False)] | None = None
    """Move by up to these shares of height and width, in either direction; null: not at all."""

    rotation: Share = 0.0
    """Turn by up to this share of a full turn, in either direction: 0.1 is 36 degrees."""

    zoom: Fraction = 0.0
    """Show from 1 - zoom to 1 + zoom times as much of the image, height and width alike."""

    brightness: Share = 0.0
    """Add up to this share of 255 to all pixels, or subtract it; for 8-bit images."""

    contrast: Share = 0.0
    """Multiply differences from a channel's mean by 1 - contrast to 1 + contrast; for 8-bit images."""

    fill_mode: FillMode = "reflect"
    """What shows where a moved image ends: reflect (d c b a|a b c d), wrap (its other side), constant (0), nearest."""

    @property
    def moves(self) -> bool:
        """Whether pixels come to lie between those of the image."""
        return any(self.translation or ()) or bool(self.rotation or self.zoom)

    @property
    def tones(self) -> bool:
        """Whether the values of pixels change."""
        return bool(self.brightness or self.contrast)

    def __bool__(self) -> bool:
        return self.moves or self.tones or bool(self.flip or self.crop)
