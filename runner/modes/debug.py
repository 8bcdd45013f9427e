"""`debug`: a configuration turned into one that is quick to try, and what is changed by that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.component import Component
from runner.data.dataset import NoData
from runner.records.diff import changed_keys
from runner.settings import Settings
from runner.transforms.settings import Augment

OVERFIT_EPOCHS, OVERFIT_STEPS = 20, 50
"""How long one batch is trained on at most: so many epochs of so many steps."""
PROFILE_STEPS = 100
"""How many batches are profiled at most."""


def debugged(config: Settings) -> Settings:
    """The configuration that `config.debug` asks for; the same one where it asks for none."""
    if config.debug is None or isinstance(config.data, NoData):  # the settings refuse the latter
        return config
    given = config.data.limit
    batch, train = config.loader.batch_size, {"epochs": 1, "steps_per_epoch": None}
    if config.debug == "overfit":
        train = {"epochs": OVERFIT_EPOCHS, "steps_per_epoch": OVERFIT_STEPS, "early_stopping": None}
        config = _with(config, mode="fit", data={"augment": Augment()}, model=_without_dropout(config.model))
    if config.debug == "profile":
        config = _with(config, mode="fit")
    batches = PROFILE_STEPS if config.debug == "profile" else 1
    limit = min(batches * batch, given or batches * batch)
    return _with(config, data={"limit": limit}, train=train)


def debug_lines(before: Settings, now: Settings) -> Iterator[tuple[str, str]]:
    """The mode, and each key it changed."""
    if before.debug is not None:
        yield "debug", f"{before.debug}: this is no real run"
        yield from (("", text) for _, text in changed_keys(before.document(), now.document()))


def _without_dropout(model: Component) -> dict[str, Any]:
    return {"dropout": 0.0} if "dropout" in type(model).model_fields else {}


def _with(config: Settings, **changes: Any) -> Settings:
    """A copy with other values; those of a group are given by key."""
    changed = {
        name: getattr(config, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return config.model_copy(update=changed)
