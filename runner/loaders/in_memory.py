"""`loader=in_memory`."""

from __future__ import annotations

from typing import Literal

from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.plan import Plan
from runner.sources.source import Source


class InMemory(LoaderSettings):
    """in_memory."""

    kind: Literal["in_memory"] = "in_memory"

    def build(self, source: Source, plan: Plan) -> Loader:  # noqa: D102
        raise NotImplementedError
