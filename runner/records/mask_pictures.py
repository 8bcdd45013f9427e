"""Pictures of predicted masks: image, truth, prediction and where they differ, of the best and the worst samples."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.batch import Array
from runner.data.labels import Head
from runner.records.mask_files import class_colors
from runner.records.pictures import as_image, write_images

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_WORST, MOST_BEST = 12, 4
"""How many samples of each kind are pictured."""

SIDE = 160
"""The longest side of each of the pictures side by side, in pixels."""
IGNORED, WRONG = (170, 170, 176), (226, 60, 48)
"""The colours of pixels that do not count, and of those that are predicted wrong."""


def pictures_name(number: int) -> str:
    """The name of the pictures of the head with this number."""
    return f"masks{number or ''}"


@dataclass(order=True)
class _Kept:
    """A picture; the one with the smallest rank is given up first."""

    rank: float
    row: int
    id: str = field(compare=False)
    image: Any = field(compare=False)


class MaskPictures:
    """The pictures of the worst and the best samples of a pass; those of all others are never drawn, or given up.

    Without a truth, the pictures are those of the first samples.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._colors = np.array([*shown_colors(head), IGNORED], np.uint8)
        self._worst: list[_Kept] = []
        self._best: list[_Kept] = []

    def add(
        self, row: int, sample_id: str, image: Array, predicted: Array, truth: Array | None, mean_iou: float | None
    ) -> None:
        """Draw a sample of a pass if it is among the worst or best so far. Masks hold class codes."""
        kept = ((self._worst, MOST_WORST, _cost(mean_iou)), (self._best, MOST_BEST, mean_iou))
        if truth is None:
            kept = ((self._worst, 0, None), (self._best, MOST_BEST, -row))
        drawn = None
        for heap, most, rank in kept:
            if rank is not None and (len(heap) < most or (most and (rank, row) > (heap[0].rank, heap[0].row))):
                drawn = drawn or self._draw(image, predicted, truth)
                push = heapq.heappush if len(heap) < most else heapq.heappushpop
                push(heap, _Kept(rank, row, sample_id, drawn))

    def join(self, other: MaskPictures) -> None:
        """Keep the worst and best of both passes, over other rows of the same samples."""
        for heap, others, most in ((self._worst, other._worst, MOST_WORST), (self._best, other._best, MOST_BEST)):
            heap[:] = heapq.nlargest(most, [*heap, *others])
            heapq.heapify(heap)

    def write(self, folder: Path, split: str, number: int) -> None:
        """Write the pictures of the head with this number to figures/."""
        pictures = {kept.row: kept for heap in (self._worst, self._best) for kept in sorted(heap, reverse=True)}
        images = ((kept.image, kept.id, self._head.name) for kept in pictures.values())
        write_images(folder, pictures_name(number), split, images)

    def _draw(self, array: Array, predicted: Array, truth: Array | None) -> Image | None:
        image = as_image(_shown_channels(array), SIDE)
        if image is None:
            return None
        plain, masks = image.convert("RGB"), [mask for mask in (truth, predicted) if mask is not None]
        panels = [plain, *(self._resized(self._colors[self._places(mask)], plain) for mask in masks)]
        if truth is not None:
            panels.append(self._difference(plain, predicted, truth))
        return _side_by_side(panels)

    def _places(self, mask: Array) -> Array:
        """Where in `_colors` the colour of each pixel is."""
        num_classes = len(self._head.class_names)
        places: Array = np.minimum(mask, num_classes).astype(np.intp)
        if self._head.ignored is not None:
            places[mask == self._head.ignored] = num_classes
        return places

    def _difference(self, plain: Image, predicted: Array, truth: Array) -> Image:
        """The image in dark gray, with pixels in the colours of what is wrong and what does not count."""
        from PIL.Image import fromarray

        ignored = np.zeros(truth.shape, bool) if self._head.ignored is None else truth == self._head.ignored
        marks = np.zeros((*truth.shape, 4), np.uint8)
        marks[(predicted != truth) & ~ignored] = (*WRONG, 255)
        marks[ignored] = (*IGNORED, 255)
        dark = plain.convert("L").point([round(0.6 * level) for level in range(256)]).convert("RGB")
        resized = self._resized(marks, plain)
        dark.paste(resized.convert("RGB"), mask=resized.getchannel("A"))
        return fromarray(np.asarray(dark))

    def _resized(self, pixels: Array, plain: Image) -> Image:
        from PIL.Image import Resampling, fromarray

        return fromarray(pixels).resize(plain.size, Resampling.NEAREST)


def _cost(mean_iou: float | None) -> float | None:
    """The rank among the worst; None for a mask without a mistake."""
    return None if mean_iou in (None, 1) else -mean_iou


def shown_colors(head: Head) -> list[Any]:
    """Red, green and blue of each class in pictures: those that masks have, or the ones that a palette shows."""
    are_colors = len(head.stored) == len(head.class_names) and isinstance(head.stored[0], tuple)
    return list(head.stored) if are_colors else class_colors(len(head.class_names))


def _shown_channels(array: Array) -> Array:
    """The channels that can be shown: three of many, one of two."""
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        return array[..., :3] if array.shape[2] > 3 else array[..., :1]
    return array


def _side_by_side(panels: list[Image]) -> Image:
    from PIL import Image

    width, height = panels[0].size
    gap = max(1, width // 20)
    whole = Image.new("RGBA", (len(panels) * (width + gap) - gap, height))
    for number, panel in enumerate(panels):
        whole.paste(panel, (number * (width + gap), 0))
    return whole
