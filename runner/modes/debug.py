"""`debug`: a configuration turned into one that is quick to try, and what is changed by that.

Whether a model can learn a single batch by heart; and if it cannot, what may be wrong.

Where a training spends its time in Python: the training thread under cProfile.
"""

from __future__ import annotations

import cProfile
import pstats
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from runner.batch import Array, Batch
from runner.component import Component
from runner.data.dataset import NoData
from runner.models.base import Output
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


ENOUGH = 0.01
"""The share of the first loss that counts as near zero."""
PROBABILITIES = ("softmax", "sigmoid")
"""Activations whose values are probabilities."""
LARGE = 100.0
"""Values beyond which an input counts as unscaled."""


@dataclass(frozen=True)
class Attempt:
    """How one batch was trained on: steps done, the loss before the first and the mean loss of the last epoch."""

    steps: int
    first_loss: float
    last_loss: float

    @property
    def succeeded(self) -> bool:
        """Whether the loss came near zero."""
        return self.last_loss <= ENOUGH * self.first_loss


def verdict(attempt: Attempt, model: keras.Model, batch: Batch, outputs: tuple[Output, ...]) -> Iterator[str]:
    """A plain statement, then what the figures say may be wrong."""
    can = "can" if attempt.succeeded else "cannot"
    yield (
        f"the model {can} learn one batch of {len(batch)} samples by heart: loss {attempt.first_loss:.4g} before, "
        f"{attempt.last_loss:.4g} after {attempt.steps:,} steps"
    )
    yield from _doubts(batch)
    if not attempt.succeeded:
        yield from _causes(attempt, model, batch, outputs)


def _doubts(batch: Batch) -> Iterator[str]:
    """What makes either outcome say little."""
    for name, y in _parts(batch.y):
        if len(y) > 1 and np.all(y == y[:1]):
            yield f"all labels {name}of the batch are the same: only that answer is learnt; look at the labels"
    if len(batch) > 1 and np.all(batch.x == batch.x[:1]):
        yield "all samples of the batch are the same: nothing tells their labels apart; look at the data"


def _causes(attempt: Attempt, model: keras.Model, batch: Batch, outputs: tuple[Output, ...]) -> Iterator[str]:
    largest = float(np.abs(batch.x).max(initial=0.0))
    if batch.x.dtype != np.uint8 and largest > LARGE:
        yield f"values of the input reach {largest:,.0f}: scale them to about 1, with data.transform or a layer"
    if attempt.last_loss >= attempt.first_loss:
        yield f"the loss did not fall: train.learning_rate may be too high, now {_rate(model):.3g}"
    elif attempt.last_loss > 0.5 * attempt.first_loss:
        yield f"the loss has hardly fallen: train.learning_rate may be too low or too high, now {_rate(model):.3g}"
    else:
        yield "the loss was falling: more train.learning_rate, or a larger model, may do"
    predicted = [part for _, part in _parts(model.predict_on_batch(batch.x))]
    for output, values in zip(outputs, predicted, strict=False):
        low, high = float(np.min(values)), float(np.max(values))
        if output.activation in PROBABILITIES and (low < 0 or high > 1):
            yield (
                f"the last layer gives values from {low:.3g} to {high:.3g}, and not probabilities: loss and last "
                "layer may not fit; give it softmax or sigmoid, or a loss with from_logits=true"
            )


def _parts(values: Array | dict[str, Array] | None) -> Iterator[tuple[str, Array]]:
    if isinstance(values, dict):
        yield from ((f"of {name} ", np.asarray(part)) for name, part in values.items())
    elif values is not None:
        yield "", np.asarray(values)


def _rate(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


NAME = "profile.pstats"
MOST_FUNCTIONS = 5
"""Functions told of each package."""
MOST_PACKAGES = 5


ROOTS = (Path(sysconfig.get_path("purelib")), Path(__file__).parents[2])
"""Where packages lie: those that are installed, and this one."""


@dataclass(frozen=True)
class Hot:
    """A function, how often it was called, and the seconds spent in it and not in what it called."""

    package: str
    name: str
    calls: int
    seconds: float


@contextmanager
def profiled(file: Path) -> Iterator[None]:
    """Profile the block, in this thread, into a file that `pstats` and snakeviz open; also if the block raises."""
    profile = cProfile.Profile()
    try:
        with profile:
            yield
    finally:
        profile.dump_stats(file)


def profile_lines(file: Path) -> Iterator[tuple[str, str]]:
    """The packages that took the most time, and in each the functions that did."""
    functions = sorted(_functions(file), key=lambda hot: -hot.seconds)
    total = sum(hot.seconds for hot in functions)
    packages: dict[str, list[Hot]] = {}
    for hot in functions:
        packages.setdefault(hot.package, []).append(hot)
    ranked = sorted(packages.items(), key=lambda item: -sum(hot.seconds for hot in item[1]))
    yield "profile", f"{total:.2f} s in the training thread, by the code they were spent in: {file}"
    for package, hots in ranked[:MOST_PACKAGES]:
        seconds = sum(hot.seconds for hot in hots)
        yield "", f"{seconds:8.2f} s {seconds / max(total, 1e-9):4.0%}  {package}"
        for hot in hots[:MOST_FUNCTIONS]:
            yield "", f"{hot.seconds:8.2f} s       {hot.name}, {hot.calls:,} calls"


def _functions(file: Path) -> Iterator[Hot]:
    for (path, line, name), (_, calls, seconds, _, _) in pstats.Stats(str(file)).stats.items():  # type: ignore[attr-defined]
        package, place = _place(path)
        yield Hot(package, f"{place}:{line} {name}" if line else name, calls, seconds)


def _place(path: str) -> tuple[str, str]:
    """The package a file is of, and the file within it; functions written in C have none."""
    if path == "~":
        return "built in", ""
    for root in ROOTS:
        if Path(path).is_relative_to(root):
            package, *rest = Path(path).relative_to(root).parts
            return package, "/".join(rest)
    return "Python", Path(path).name
