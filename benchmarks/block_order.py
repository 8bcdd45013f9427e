"""What an order by blocks costs in accuracy: a small network on noisy digits, from packs in two orders.

OPENBLAS_NUM_THREADS=1 python benchmarks/block_order.py [--seeds 6]

Samples lie sorted by class, or in a random order, in blocks of 64; a window is a share of them. The table holds the
accuracy and the loss on clean digits after six epochs, means of the seeds. Takes four minutes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from runner.batch import Indices
from runner.loaders.block_order import BlockTable
from runner.loaders.plan import Plan

Floats = NDArray[np.float32]

TRAINING, COPIES, NOISE = 1300, 16, 0.25
EPOCHS, BATCH, BLOCK, RATE, MOMENTUM = 6, 64, 64, 0.05, 0.9
WIDTHS = (64, 128, 128, 10)
WINDOWS = (0.01, 0.02, 0.05, 0.1, 0.2)


def noisy_digits() -> tuple[Floats, Indices, Floats, Indices]:
    """Copies of digits, moved by a pixel and noisy, with their labels; and other digits, clean."""
    rng = np.random.default_rng(0)
    x, y = load_digits(return_X_y=True)
    order = rng.permutation(len(x))
    x, y = np.float32(x[order] / 16), y[order].astype(np.int64)
    copies = []
    for _ in range(COPIES):
        moves = rng.integers(-1, 2, (TRAINING, 2))
        moved = [np.roll(one.reshape(8, 8), tuple(move), (0, 1)) for one, move in zip(x[:TRAINING], moves, strict=True)]
        copies.append(np.stack(moved).reshape(-1, 64) + rng.normal(0, NOISE, (TRAINING, 64)))
    return np.float32(np.concatenate(copies)), np.tile(y[:TRAINING], COPIES), x[TRAINING:], y[TRAINING:]


class Network:
    """Three layers, trained with momentum."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.weights = [
            np.float32(rng.normal(0, np.sqrt(2 / wide), (wide, narrow))) for wide, narrow in pairwise(WIDTHS)
        ]
        self.biases = [np.zeros(width, np.float32) for width in WIDTHS[1:]]
        self.moving = [np.zeros_like(one) for one in (*self.weights, *self.biases)]

    def probabilities(self, x: Floats) -> list[Floats]:
        """What each layer gives; the last one the probabilities of the classes."""
        values = [x]
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), 1):
            out = values[-1] @ weight + bias
            values.append(np.maximum(out, 0) if number < len(self.weights) else out)
        exponents = np.exp(values[-1] - values[-1].max(1, keepdims=True))
        values[-1] = exponents / exponents.sum(1, keepdims=True)
        return values

    def train(self, x: Floats, y: Indices) -> None:
        """One step."""
        values = self.probabilities(x)
        error = values[-1].copy()
        error[np.arange(len(y)), y] -= 1
        error /= len(y)
        of_weights, of_biases = [], []
        for weight, value in zip(reversed(self.weights), reversed(values[:-1]), strict=True):
            of_weights.insert(0, value.T @ error)
            of_biases.insert(0, error.sum(0))
            error = error @ weight.T * (value > 0)
        for parameter, moving, gradient in zip(
            (*self.weights, *self.biases), self.moving, (*of_weights, *of_biases), strict=True
        ):
            moving *= MOMENTUM
            moving += gradient
            parameter -= RATE * moving


def blocks_in(layout: Indices, window: float) -> BlockTable:
    """Blocks of samples that lie in the order of `layout`; a window is this share of them."""
    counts = np.full(-(-len(layout) // BLOCK), BLOCK)
    counts[-1] -= counts.sum() - len(layout)
    return BlockTable(layout, np.cumsum([0, *counts]), counts, max(BLOCK, round(window * len(layout))))


def main() -> None:
    """Train on every order with every seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6, help="networks for each order")
    seeds = range(parser.parse_args().seeds)
    x, y, held_x, held_y = noisy_digits()
    shuffled = np.random.default_rng(9).permutation(len(y))
    layouts = {"sorted by class": np.argsort(y, kind="stable"), "shuffled": shuffled}

    def results(plan_of: Callable[[int], Plan]) -> tuple[list[float], list[float]]:
        accuracies, losses = [], []
        for seed in seeds:
            network, plan = Network(seed), plan_of(seed)
            for epoch in range(EPOCHS):
                for step in range(plan.num_steps):
                    indices = plan.batch(epoch, step).indices
                    network.train(x[indices], y[indices])
            probabilities = network.probabilities(held_x)[-1]
            accuracies.append(float((probabilities.argmax(1) == held_y).mean()))
            losses.append(float(-np.log(probabilities[np.arange(len(held_y)), held_y] + 1e-9).mean()))
        return accuracies, losses

    def row(name: str, blocks: BlockTable | None, *, shuffle: bool = True) -> None:
        accuracies, losses = results(lambda seed: Plan(len(y), BATCH, seed, shuffle, True, blocks))
        accuracy, spread = statistics.mean(accuracies), statistics.pstdev(accuracies)
        print(f"| {name} | {accuracy:.4f} ± {spread:.4f} | {statistics.mean(losses):.4f} |", flush=True)

    print("| order | accuracy | loss |\n|---|---|---|")
    row("random", None)
    for name, layout in layouts.items():
        row(f"blocks, pack {name}, not shuffled", blocks_in(layout, 1), shuffle=False)
        for window in WINDOWS:
            row(f"blocks, pack {name}, window of {window:.0%}", blocks_in(layout, window))


if __name__ == "__main__":
    main()
