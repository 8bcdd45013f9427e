"""`debug`: turn a configuration into one that is quick to try, and list the changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.component import Component
from runner.data.dataset import NoData
from runner.data.mix import Mix
from runner.records.diff import changed_keys
from runner.settings import Settings
from runner.transforms.settings import Augment

OVERFIT_EPOCHS, OVERFIT_STEPS = 20, 50
"""The most epochs that one batch is trained on, and the steps in each."""
PROFILE_STEPS = 100
"""The most batches that are profiled."""


def debugged(config: Settings) -> Settings:
    """The configuration changed as `config.debug` says; the same one without `debug`."""
    if config.debug is None or isinstance(config.data, NoData):  # the settings refuse the latter
        return config
    given = config.data.limit
    batch = config.loader.batch_size
    phases = [phase.model_copy(update={"epochs": 1}) for phase in config.train.phases]
    phases = phases if config.debug == "fast" else phases[:1]
    train: dict[str, Any] = {"epochs": len(phases) or 1, "steps_per_epoch": None, "phases": tuple(phases)}
    if config.debug == "overfit":
        train = {"epochs": OVERFIT_EPOCHS, "steps_per_epoch": OVERFIT_STEPS, "early_stopping": None, "phases": ()}
        once = {"balance": None, "draw_by": None}  # the one batch is the whole epoch
        data = {"augment": Augment(), **_without_shares(config.data)}
        config = _with(config, mode="fit", data=data, loader=once, model=_without_dropout(config.model))
    if config.debug == "profile":
        config = _with(config, mode="fit")
    batches = PROFILE_STEPS if config.debug == "profile" else 1
    limit = min(batches * batch, given or batches * batch)
    return _with(config, data={"limit": limit}, train=train)


def debug_lines(before: Settings, now: Settings) -> Iterator[tuple[str, str]]:
    """The debug mode, and each key that it changes."""
    if before.debug is not None:
        yield "debug", f"{before.debug}: a trial run with these changes"
        yield from (("", text) for _, text in changed_keys(before.document(), now.document()))


def _without_shares(data: Component) -> dict[str, Any]:
    if not isinstance(data, Mix):
        return {}
    return {"parts": {name: part.model_copy(update={"share": None}) for name, part in data.parts.items()}}


def _without_dropout(model: Component) -> dict[str, Any]:
    return {"dropout": 0.0} if "dropout" in type(model).model_fields else {}


def _with(config: Settings, **changes: Any) -> Settings:
    """A copy with other values; the values of a group are a dict by key."""
    changed = {
        name: getattr(config, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return config.model_copy(update=changed)
