"""`data=none`: no data of the runner's, where `loader=custom` makes the batches."""

from __future__ import annotations

from typing import Literal

from runner.component import Component
from runner.data.dataset import Scale


class NoData(Component):
    """No samples of the runner's: the batches come from a class or function of yours, loader=custom."""

    kind: Literal["none"] = "none"

    scale: Scale = "auto"
    """Scaling inside the model: `unit` x/255, `signed` 2(x/255 - 0.5), `auto` unit for 8-bit samples, else none."""
