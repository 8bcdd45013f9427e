"""`train.phases` in a run: how each augments, and what is reported and recorded where one begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.data.dataset import Dataset
from runner.errors import ConfigurationError
from runner.loaders.blend import PhaseAugmentation
from runner.loaders.loader import Loader
from runner.modes.context import RunContext
from runner.modes.open_data import blend_for, transforms_of
from runner.settings import Settings
from runner.training.in_phase import in_phase, mixed_phases, naming_phase

if TYPE_CHECKING:
    from runner.training.phases import Phases


def phase_augmentations(
    config: Settings, dataset: Dataset, loader: Loader, phases: Phases
) -> tuple[PhaseAugmentation, ...] | None:
    """What is done to training samples in each phase, which `loader` gets for the present one.

    None if all phases have that of `loader`. Raises `ConfigurationError` if samples would have another form in one.
    """
    given = config.train.phases
    if not any("augment" in phase.model_fields_set for phase in given):
        return None
    found = tuple(_augmentation(config, number, dataset, loader) for number in range(len(given)))
    loader.augment_by(found[phases.place.number])
    return found


def _augmentation(config: Settings, number: int, dataset: Dataset, loader: Loader) -> PhaseAugmentation:
    phase = in_phase(config, number)
    with naming_phase(config.train, number):
        transforms = transforms_of(phase, dataset, "train", loader.source, training=True)
    spec = transforms[-1].spec if transforms else loader.source.spec
    if spec != loader.spec:
        raise ConfigurationError(
            f"train.phases[{number}].augment must give samples of {loader.spec}, as data.augment does, got {spec}; "
            "leave it out"
        )
    return PhaseAugmentation(transforms, blend_for(config, dataset, number))


def report_phase(run: RunContext, phases: Phases) -> None:
    """Report and record that a phase begins, or that training goes on in it; nothing without phases."""
    if phases.named is None:
        return
    number = phases.place.number
    is_mixed = mixed_phases(run.config)[number]
    run.terminal.summary([("phase", phases.describe() + (", on mixed samples" if is_mixed else ""))])
    before = run.record.document["network"].get("phases", [])[:number]
    entry = {
        "phase": number + 1,
        "first_epoch": phases.place.first_epoch + 1,
        "trainable_weights": phases.num_trained_weights,
        "optimizer": phases.describe_optimizer(),
        **({"of_mixed_samples": True} if is_mixed else {}),
    }
    run.record.update(network={"phases": [*before, entry]})
