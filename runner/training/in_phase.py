"""The configuration as it is in a phase of training, which must be one that could be trained alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from runner.data.dataset import NoData
from runner.messages import yaml_text
from runner.training.settings import Train
from runner.transforms.settings import Augment


class Configuration(Protocol):
    """A whole configuration."""

    @property
    def data(self) -> Any:
        """Where the samples come from."""

    @property
    def train(self) -> Train:
        """How the model is fitted."""


AnyConfiguration = TypeVar("AnyConfiguration", bound=Configuration)


def in_phase(config: AnyConfiguration, number: int) -> AnyConfiguration:
    """The configuration as it is in a phase of training, counted from 0; the same one if there are no phases.

    Raises `ValidationError` if its keys do not fit together.
    """
    if not config.train.phases:
        return config
    changed: dict[str, Any] = {"train": config.train.in_phase(number)}
    if augment := config.train.phases[number].changes("augment"):
        changed["data"] = _changed(config.data, augment)
    whole: AnyConfiguration = _changed(config, changed)
    return whole


def refuse_unfit_phases(config: Configuration) -> None:
    """Raise ValueError if a phase does not fit the rest of the configuration."""
    for number, phase in enumerate(config.train.phases):
        called, data = f"train.phases[{number}]", config.data
        if isinstance(data, NoData):
            if "augment" in phase.model_fields_set:
                raise ValueError(f"{called}.augment must be left out with data=none, whose batches are ready-made")
        else:
            _refuse_other_batches(f"{called}.augment", phase.changes("augment").get("augment"), data.augment)
        try:
            in_phase(config, number)
        except ValidationError as error:
            reasons = (one.get("ctx", {}).get("error", one["msg"]) for one in error.errors(include_url=False))
            raise ValueError(f"in {called}, {next(reasons)}") from error


def _refuse_other_batches(called: str, augment: Augment | None, outside: Augment) -> None:
    """Refuse other sizes and labels: those that the model is built and compiled for."""
    for name in () if augment is None else ("crop", "mixup", "cutmix"):
        got, expected = getattr(augment, name), getattr(outside, name)
        if got != expected:
            raise ValueError(
                f"{called}.{name} must be that of data.augment, {yaml_text(expected)}, got {yaml_text(got)}: images "
                f"and labels keep their form in all phases; give both the same {name}, or leave augment out"
            )


def _changed(component: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a component with other values, which is checked."""
    values = {name: getattr(component, name) for name in type(component).model_fields}
    return type(component).model_validate({**values, **changes})
