"""`loader=directory_flow`."""

from __future__ import annotations

from typing import Literal

from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.plan import Plan
from runner.sources.source import Source


class DirectoryFlow(LoaderSettings):
    """directory_flow."""

    kind: Literal["directory_flow"] = "directory_flow"

    def build(self, source: Source, plan: Plan) -> Loader:  # noqa: D102
        raise NotImplementedError
