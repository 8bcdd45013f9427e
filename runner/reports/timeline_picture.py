"""The timeline as a picture, for a file of its own: what `timeline_svg` draws, on white."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.records.trace import PREPARE, TRAIN, WAIT, Lane
from runner.reports.timeline import BELOW, LANE, TITLES, TOP, WIDTH, timeline_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

LEFT = 110
COLOURS = {TRAIN: "#1f5fa8", WAIT: "#1c1d20", PREPARE: "#b4530a"}
INK, LINE = "#1c1d20", "#e3e3df"


def draw_timeline(lanes: Sequence[Lane]) -> Image:
    """Draw the timeline of a trace."""
    from PIL.Image import new
    from PIL.ImageDraw import Draw

    timeline = timeline_of(lanes)
    bottom = TOP + LANE * len(timeline.rows)
    image = new("RGB", (WIDTH, bottom + BELOW), "white")
    draw = Draw(image)
    scale = (WIDTH - 16 - LEFT) / timeline.axis.high
    for number, (kind, title) in enumerate(TITLES.items()):
        _bar(draw, kind, (LEFT + 200 * number, 3, LEFT + 200 * number + 26, 15))
        draw.text((LEFT + 200 * number + 33, 3), title, INK)
    for value, text in timeline.axis.ticks:
        draw.line((LEFT + scale * value, TOP, LEFT + scale * value, bottom), LINE)
        draw.text((LEFT + scale * value, bottom + 12), text, INK, anchor="mm")
    draw.text(((LEFT + WIDTH) / 2, bottom + 30), timeline.axis.label, INK, anchor="mm")
    for place, row in enumerate(timeline.rows):
        top = TOP + LANE * place + 4
        draw.text((LEFT - 8, top + 9), row.name, INK, anchor="rm")
        for kind, bars in row.bars.items():
            for since, to in bars:
                _bar(draw, kind, (LEFT + scale * since, top, LEFT + scale * to, top + LANE - 8))
    return image


def _bar(draw: ImageDraw, kind: str, box: tuple[float, float, float, float]) -> None:
    """Training is filled, waiting has diagonal lines, preparing horizontal ones."""
    left, top, right, bottom = box
    right = max(right, left + 1)
    colour = COLOURS[kind]
    if kind == TRAIN:
        draw.rectangle(box, colour)
        return
    draw.rectangle((left, top, right, bottom), None, colour)
    height = bottom - top
    if kind == PREPARE:
        for line in range(int(top) + 4, int(bottom), 4):
            draw.line((left, line, right, line), colour)
        return
    for start in range(int(left - height), int(right), 6):
        since, to = max(start, left), min(start + height, right)
        draw.line((since, bottom - (since - start), to, bottom - (to - start)), colour)
