"""`loader=generator`."""

from __future__ import annotations

from typing import Literal

from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.plan import Plan
from runner.sources.source import Source


class Generator(LoaderSettings):
    """generator."""

    kind: Literal["generator"] = "generator"

    def build(self, source: Source, plan: Plan) -> Loader:  # noqa: D102
        raise NotImplementedError
