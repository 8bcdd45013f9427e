"""The pictures of docs/how-to/augmentation.md: `python docs/pictures.py` writes them into docs/images/augment/.

A strip shows one example photo in six epochs, or of a batch that is mixed, six samples.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from runner import build_loader, compose
from runner.examples import write_examples

FOLDER = Path(__file__).parent / "images" / "augment"
PHOTO, COUNT, GAP, SIZE = 7, 6, 4, 72

STRIPS = {
    "flip": ["flip=horizontal_and_vertical"],
    "crop": ["crop=[48,48]"],
    "resized_crop": ["resized_crop={scale: [0.2, 1]}"],
    "translation": ["translation=[0.2,0.2]"],
    "rotation": ["rotation=0.1"],
    "zoom": ["zoom=0.4"],
    "shear": ["shear_x=0.4", "shear_y=0.2"],
    "fill_mode": ["rotation=0.1", "fill_mode=constant"],
    "brightness": ["brightness=0.3"],
    "contrast": ["contrast=0.7"],
    "hue": ["hue=0.5"],
    "saturation": ["saturation=[0.1,0.8]"],
    "grayscale": ["grayscale=0.5"],
    "blur": ["blur={kernel_size: 9, sigma: [0.5, 3]}"],
    "erasing": ["erasing.factor=0.8"],
    "mixup": ["mixup=0.8"],
    "cutmix": ["cutmix=1"],
}
"""The name of each strip, and its keys of data.augment."""


def strip(photos: Path, keys: list[str]) -> Image.Image:
    """Six versions of one photo, side by side; six photos where they are mixed."""
    mixes = "mix" in keys[0]
    shown = ["data=directory", f"data.root={photos}", f"data.target_size=[{SIZE},{SIZE}]", "loader=generator"]
    config = compose([*shown, f"loader.shuffle={str(mixes).lower()}", *(f"data.augment.{key}" for key in keys)])
    with build_loader(config) as loader:
        x = loader.batch(0, 0).x[:COUNT] if mixes else [loader.batch(epoch, 0).x[PHOTO] for epoch in range(COUNT)]
    images = [np.pad(image, ((0, 0), (0, GAP), (0, 0)), constant_values=255) for image in x]
    return Image.fromarray(np.concatenate(images, axis=1)[:, :-GAP])


def main() -> None:
    """Write all strips."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_examples(Path(folder))
        for name, keys in STRIPS.items():
            strip(Path(folder, "photos"), keys).save(FOLDER / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
