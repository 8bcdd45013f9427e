"""Settings of `data.augment`: random augmentation of training images, named like Keras's `Random…` layers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from runner.component import Component, Fraction, Size

Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, Share], Strict(False)]
Area = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(gt=0)]
Deviation = Annotated[float, Field(ge=0)]
Flip = Literal["horizontal", "vertical", "horizontal_and_vertical"]
FillMode = Literal["reflect", "wrap", "constant", "nearest"]


def _refuse_descending(**ranges: tuple[float, float] | None) -> None:
    """Raise `ValueError` for a range whose first number is above its second one."""
    for name, pair in ranges.items():
        if pair is not None and pair[0] > pair[1]:
            raise ValueError(
                f"{name} must be [low, high], got [{pair[0]:g}, {pair[1]:g}]; write [{pair[1]:g}, {pair[0]:g}]"
            )


class ResizedCrop(Component):
    """A random part of the image, resized to the size of the image, or of `crop`."""

    scale: Annotated[tuple[Area, Area], Strict(False)] = (0.08, 1.0)
    """The area of the part, as a share of the image's."""

    ratio: Annotated[tuple[Ratio, Ratio], Strict(False)] = (0.75, 1.3333333333333333)
    """How many times wider, for its height, the part is than the result; 1 distorts nothing."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        _refuse_descending(scale=self.scale, ratio=self.ratio)
        return self


class GaussianBlur(Component):
    """A blur of some images, as in `keras.layers.RandomGaussianBlur`."""

    factor: Share = 1.0
    """The share of images that are blurred."""

    kernel_size: Annotated[int, Field(ge=3, le=31)] = 3
    """Height and width of the kernel in pixels, an odd number."""

    sigma: Annotated[tuple[Deviation, Deviation], Strict(False)] = (0.0, 1.0)
    """The range of the kernel's standard deviation in pixels, drawn for columns and for rows."""

    @model_validator(mode="after")
    def _kernel_has_a_centre(self) -> Self:
        _refuse_descending(sigma=self.sigma)
        if self.kernel_size % 2 == 0:
            size = self.kernel_size
            raise ValueError(f"kernel_size must be odd, got {size}; write {size - 1} or {size + 1}")
        return self


class Erasing(Component):
    """A rectangle of some images is erased, as in `keras.layers.RandomErasing`."""

    factor: Share = 1.0
    """The share of images of which a rectangle is erased."""

    scale: Shares = (0.02, 0.33)
    """The range that is drawn from for width and for height; each is the root of what is drawn, times the image's."""

    fill_value: float | None = None
    """The value of erased pixels; null: noise, only for 8-bit images."""

    @model_validator(mode="after")
    def _range_ascends(self) -> Self:
        _refuse_descending(scale=self.scale)
        return self


class Augment(Component):
    """Random augmentation of training images, drawn for each image each time; null and 0 turn a part off."""

    flip: Flip | None = None
    """Flip half of the images: horizontal (left to right), vertical, or horizontal_and_vertical; null: none."""

    crop: Size | None = None
    """Height and width of a random crop; in other splits the largest centred part is resized to them."""

    resized_crop: ResizedCrop | None = None
    """Show a random part of the image, in the size of the image or of `crop`; null: do not."""

    translation: Annotated[tuple[Fraction, Fraction], Strict(False)] | None = None
    """Move by up to these shares of height and width, in either direction; null: do not move."""

    rotation: Share = 0.0
    """Rotate by up to this share of a full turn, in either direction: 0.1 is 36 degrees."""

    zoom: Fraction = 0.0
    """Show 1 - zoom to 1 + zoom times the height and width of the image."""

    shear_x: Share = 0.0
    """Move each row sideways by up to this share of its distance from the centre, in either direction."""

    shear_y: Share = 0.0
    """Move each column up or down by up to this share of its distance from the centre, in either direction."""

    brightness: Share = 0.0
    """Add or subtract up to this share of 255 to all pixels; only for 8-bit images."""

    contrast: Share = 0.0
    """Multiply differences from a channel's mean by 1 - contrast to 1 + contrast; only for 8-bit images."""

    hue: Share = 0.0
    """Turn the hue by up to this share of half a turn, in either direction; only for 8-bit colour images."""

    saturation: Shares | None = None
    """Range of the saturation, [0.4, 0.6]: 0 is grey, 0.5 leaves it, 1 is full; only for 8-bit colour images."""

    grayscale: Share = 0.0
    """Turn this share of the images grey; only for colour images."""

    blur: GaussianBlur | None = None
    """Blur some images; null: none."""

    erasing: Erasing | None = None
    """Erase a rectangle of some images; null: none."""

    fill_mode: FillMode = "reflect"
    """Fill outside of a moved image: reflect (d c b a|a b c d), wrap (its other side), constant (0), nearest."""

    mixup: Share = 0.0
    """Mix each training sample with another of its batch, labels too: alpha of the weights' beta distribution, 0.2."""

    cutmix: Share = 0.0
    """Paste a rectangle of another image of the batch into each training image, labels by area: the most alpha, 1."""

    transform: str | None = None
    """Your function my_module.f(array, rng) -> array of the same shape and dtype, for training samples alone, after the
    rest; `extensions` must list my_module. A sample of several arrays is a dict."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_off(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        numbers = {key for key, field in cls.model_fields.items() if field.default is not None}
        return {key: each for key, each in value.items() if each is not None or key not in numbers}

    @model_validator(mode="after")
    def _saturation_ascends(self) -> Self:
        _refuse_descending(saturation=self.saturation)
        return self

    @property
    def moves(self) -> bool:
        """Whether images are moved, rotated, zoomed or sheared, which needs interpolation."""
        turned = self.rotation or self.zoom or self.shear_x or self.shear_y
        return any(self.translation or ()) or bool(turned or self.resized_crop)

    @property
    def tones(self) -> bool:
        """Whether pixel values change by brightness or contrast."""
        return bool(self.brightness or self.contrast)

    @property
    def colors(self) -> bool:
        """Whether hue or saturation change."""
        return bool(self.hue) or self.saturation not in (None, UNCHANGED)

    @property
    def changes_pixels(self) -> bool:
        """Whether pixels of an image change where they are."""
        return self.tones or self.colors or bool(self.grayscale or self.blur or self.erasing)

    @property
    def changes_images(self) -> bool:
        """Whether images are changed by anything but a function of the user's."""
        return self.moves or self.changes_pixels or bool(self.flip or self.crop)

    @property
    def mixes(self) -> bool:
        """Whether samples of a batch are mixed with each other."""
        return any(getattr(self, key) for key in MIXING)

    def __bool__(self) -> bool:
        return self.changes_images or self.mixes or self.transform is not None


MIXING = ("mixup", "cutmix")
"""Keys of `Augment` that mix samples of a batch with each other."""

UNCHANGED = (0.5, 0.5)
"""The range of the saturation that leaves it as it is."""
