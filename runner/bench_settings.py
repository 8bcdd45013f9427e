"""How long loaders are compared: the `bench` group."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runner.component import Component


class Bench(Component):
    """How loaders are measured."""

    seconds: Annotated[float, Field(gt=0)] = 2.0
    """How long each loader is timed, once warm; so many samples are used as one thread can read meanwhile."""
