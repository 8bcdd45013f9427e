"""Noisy images with one to three bright discs, and their masks, as batches of `loader=custom`."""

import numpy as np


def discs(count, size=48, seed=0):
    """Images `(count, size, size, 3)`, uint8, and masks `(count, size, size)`, uint8: 1 on a disc, else 0."""
    rng, (rows, columns) = np.random.default_rng(seed), np.mgrid[:size, :size]
    x, y = np.empty((count, size, size, 3), np.uint8), np.zeros((count, size, size), np.uint8)
    for image, mask in zip(x, y, strict=True):
        values = np.broadcast_to(rng.integers(20, 100, 3), image.shape).astype(float)
        for _ in range(rng.integers(1, 4)):
            radius, (row, column) = rng.uniform(size / 12, size / 5), rng.uniform(0, size, 2)
            inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
            values[inside], mask[inside] = rng.integers(140, 240, 3), 1
        image[...] = np.clip(values + rng.normal(0, 20, image.shape), 0, 255)
    return x, y


class Discs:
    """Batches of discs; pixels in the first `border` rows are 255, to be ignored."""

    def __init__(self, count, size=48, seed=0, batch_size=8, border=0):
        self.x, self.y = discs(count, size, seed)
        self.y[:, :border] = 255
        self.batch_size, self.ids = batch_size, [f"{seed}/disc {number}.jpg" for number in range(count)]

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.x[rows], self.y[rows]


def overrides(count=32, held_out=16, *, classes="[ground,disc]", split="test", **arguments):
    """Overrides of a run over discs."""
    given = {"size": 16, **arguments}
    listed = ", ".join(f"{name}: {value}" for name, value in given.items())
    return [
        "data=none",
        "loader=custom",
        "loader.target=tests.support.discs.Discs",
        "extensions=[tests.support.discs]",
        f"loader.arguments={{{listed}}}",
        f"loader.train_arguments={{count: {count}, seed: 1}}",
        f"loader.{split}_arguments={{count: {held_out}, seed: 2}}",
        "loader.class_mode=mask",
        f"loader.classes={classes}",
        "loader.ignore_value=255",
    ]
