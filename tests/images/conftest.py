"""Real photographs, and one file of every kind of image."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT = 60, 44


def _shipped(package, folder, *names):
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent / folder / name for name in names]


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Those shipped with scikit-learn, and with scikit-image, as JPEG."""
    folder = tmp_path_factory.mktemp("photographs")
    found = _shipped("sklearn", "datasets/images", "china.jpg", "flower.jpg")
    found += _shipped("skimage", "data", "astronaut.png", "chelsea.png", "coffee.png")
    for photograph in found:
        with Image.open(photograph) as image:
            image.convert("RGB").save(folder / f"{photograph.stem}.jpg", quality=92)
    return sorted(folder.iterdir())


def _pixels(channels):
    """Smooth in one half, noise in the other."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([rows * 5, columns * 4, 255 - rows * 3, (rows * columns) % 256], axis=2)
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4))
    return np.where(columns[..., None] < 30, smooth, noise).astype(np.uint8)[..., :channels]


def _cases():
    gray, rgb, rgba = (Image.fromarray(_pixels(n).squeeze()) for n in (1, 3, 4))
    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "l.png": (gray, {}),
        "rgb.png": (rgb, {}),
        "rgba.png": (rgba, {}),
        "la.png": (rgba.convert("LA"), {}),
        "one_bit.png": (gray.convert("1"), {}),
        "palette.png": (palette, {}),
        "transparent_index.png": (palette, {"transparency": 3}),
        "transparent_table.png": (palette, {"transparency": bytes(range(256))}),
        "rgb.bmp": (rgb, {}),
        "frames.gif": (palette, {"save_all": True, "append_images": [palette.rotate(180)]}),
        "rgb.webp": (rgb, {"quality": 80}),
        "rgba.webp": (rgba, {"lossless": True}),
        "rgb.tiff": (rgb, {}),
        "rgb.ppm": (rgb, {}),
        "gray.jpg": (gray, {}),
        "rgb.jpg": (rgb, {"quality": 90}),
        "full_chroma.jpg": (rgb, {"quality": 95, "subsampling": 0}),
        "progressive.jpg": (rgb, {"progressive": True}),
        "rotated.jpg": (rgb, {"exif": exif}),
        "cmyk.jpg": (rgb.convert("CMYK"), {}),
    }


@pytest.fixture(scope="session")
def kinds(tmp_path_factory):
    """An image of 60x44 pixels in every mode and format."""
    folder = tmp_path_factory.mktemp("kinds")
    for name, (image, options) in _cases().items():
        image.save(folder / name, **options)
    return sorted(folder.iterdir())


@pytest.fixture
def deep(tmp_path):
    """A 16-bit grayscale PNG of 40x30 pixels, with every value from 0 to 65,535 in steps of 54.6."""
    path = tmp_path / "deep.png"
    values = np.linspace(0, 65_535, 1_200).astype(np.uint16).reshape(30, 40)
    Image.fromarray(values).save(path)
    return path
