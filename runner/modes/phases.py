"""`train.phases` in a run: how each augments, and what is reported and recorded where one begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.data.dataset import Dataset
from runner.errors import ConfigurationError
from runner.loaders.loader import Loader
from runner.modes.context import RunContext
from runner.modes.open_data import transforms_of
from runner.settings import Settings
from runner.training.in_phase import in_phase
from runner.transforms.transform import Transforms

if TYPE_CHECKING:
    from runner.training.phases import Phases


def phase_transforms(
    config: Settings, dataset: Dataset, loader: Loader, phases: Phases
) -> tuple[Transforms, ...] | None:
    """The transforms of training samples in each phase, which `loader` gets for the present one.

    None if all phases have those of `loader`. Raises `DataError` if the samples of the data cannot be augmented so.
    """
    given = config.train.phases
    if not any("augment" in phase.model_fields_set for phase in given):
        return None
    found = tuple(
        transforms_of(in_phase(config, number), dataset, "train", loader.source, training=True)
        for number in range(len(given))
    )
    for number, transforms in enumerate(found):
        _refuse_other_samples(f"train.phases[{number}].augment", transforms, loader)
    loader.transform_by(found[phases.place.number])
    return found


def _refuse_other_samples(called: str, transforms: Transforms, loader: Loader) -> None:
    spec = transforms[-1].spec if transforms else loader.source.spec
    if spec != loader.spec:
        raise ConfigurationError(
            f"{called} must give samples of {loader.spec}, as data.augment does, got {spec}; leave it out"
        )


def report_phase(run: RunContext, phases: Phases) -> None:
    """Report and record that a phase begins, or that training goes on in it; nothing without phases."""
    if phases.named is None:
        return
    number = phases.place.number
    run.terminal.summary([("phase", phases.describe())])
    before = run.record.document["network"].get("phases", [])[:number]
    entry = {
        "phase": number + 1,
        "first_epoch": phases.place.first_epoch + 1,
        "trainable_weights": phases.num_trained_weights,
        "optimizer": phases.describe_optimizer(),
    }
    run.record.update(network={"phases": [*before, entry]})
