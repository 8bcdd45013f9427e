"""A configuration-driven Keras training runner: choose how the data reaches the model.

`compose`, `build_loader` and `run` are the parts of the command line, for use from Python; `LoaderDataset` hands a
loader to a Keras model. Importing the package imports none of the modules that they need.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in typing, which takes longer to import than all else that a command needs at first
if TYPE_CHECKING:
    from runner.config.jobs import compose as compose
    from runner.feeds.dataset import LoaderDataset as LoaderDataset
    from runner.modes.run import build_loader as build_loader
    from runner.modes.run import run as run

__all__ = ["LoaderDataset", "build_loader", "compose", "run"]

HOMES = {
    "compose": "runner.config.jobs",
    "build_loader": "runner.modes.run",
    "run": "runner.modes.run",
    "LoaderDataset": "runner.feeds.dataset",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
