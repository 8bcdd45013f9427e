"""The configuration as it is in a phase of training, which must be one that could be trained alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from runner.data.dataset import NoData
from runner.errors import ConfigurationError, DataError
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
    phase, data = config.train.phases[number], config.data
    if "augment" in phase.model_fields_set and not isinstance(data, NoData):
        changed["data"] = _changed(data, {"augment": _with_crop(phase.augment, data.augment)})
    whole: AnyConfiguration = _changed(config, changed)
    return whole


def refuse_unfit_phases(config: Configuration) -> None:
    """Raise ValueError if a phase does not fit the rest of the configuration."""
    for number, phase in enumerate(config.train.phases):
        called, data = f"train.phases[{number}]", config.data
        if isinstance(data, NoData):
            if "augment" in phase.model_fields_set:
                raise ValueError(f"{called}.augment must be left out with data=none, whose batches are ready-made")
        elif (crop := _with_crop(phase.augment, data.augment).crop) != data.augment.crop:
            raise ValueError(
                f"{called}.augment.crop must be that of data.augment, {yaml_text(data.augment.crop)}, got "
                f"{yaml_text(crop)}: images have one size in all phases, that of the model; leave it out here, and "
                "choose the size with data.augment.crop; resized_crop shows a random part in any phase"
            )
        try:
            in_phase(config, number)
        except ValidationError as error:
            reasons = (one.get("ctx", {}).get("error", one["msg"]) for one in error.errors(include_url=False))
            raise ValueError(f"in {called}, {next(reasons)}") from error


@contextmanager
def naming_phase(train: Train, number: int) -> Iterator[None]:
    """Name the phase in an error of the block that refuses its settings; without phases there is none to name."""
    try:
        yield
    except (ConfigurationError, DataError) as error:
        if not train.phases or type(error) not in (ConfigurationError, DataError):
            raise
        raise type(error)(f"in train.phases[{number}], {error}") from error


def mixed_phases(config: Configuration) -> list[bool]:
    """Whether each phase mixes the samples of a batch with each other; without phases, whether the training does."""
    phases = (in_phase(config, number).data for number in range(max(1, len(config.train.phases))))
    return [not isinstance(data, NoData) and data.augment.mixes for data in phases]


def _with_crop(augment: Augment, outside: Augment) -> Augment:
    """The augmentation of a phase, with the crop from `outside` unless it has its own: the crop is the model's size."""
    return augment if "crop" in augment.model_fields_set else augment.model_copy(update={"crop": outside.crop})


def _changed(component: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a component with other values, which is checked."""
    values = {name: getattr(component, name) for name in type(component).model_fields}
    return type(component).model_validate({**values, **changes})
