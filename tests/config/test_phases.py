"""`train.phases`: what a phase may change, and the epochs of all phases together."""

import pytest

from runner import compose
from runner.errors import ConfigurationError
from runner.training.in_phase import in_phase, mixed_phases
from runner.training.settings import Train

PHASES = "train.phases=[{epochs: 3, trainable: false}, {epochs: 10, trainable: 40, learning_rate: 1e-5}]"
SCHEDULE = "{name: cosine_decay, initial_learning_rate: 0.1}"
ONE_PROBLEM = {
    "train.phases=[{trainable: 3}]": "train.phases[0].epochs must be given, a whole number of at least 1",
    "train.phases=[{epochs: 0}]": "train.phases[0].epochs must be a whole number of at least 1, got 0",
    "train.phases=[{epochs: 1}, 3]": "train.phases[1] must be a group of keys (epochs, trainable, learning_rate, "
    "optimizer, class_weight, early_stopping, augment, freeze_batch_norm), got 3",
    "train.phases[0].epochs=3": "train.phases[0].epochs=3 must not name an item of a list; give the whole list, "
    "train.phases=[…]",
    "train.phases=[{epochs: 3, lr: 0.1}]": "unknown key 'train.phases[0].lr' for train.phases[0]; did you mean "
    "'train.phases[0].learning_rate'?",
    "train.phases=[{epochs: 3, trainble: 40}]": "unknown key 'train.phases[0].trainble' for train.phases[0]; did you "
    "mean 'train.phases[0].trainable'?",
    "train.phases=[{epochs: 3}, {epochs: 1, loss: huber}]": "unknown key 'train.phases[1].loss' for train.phases[1]; "
    "its keys are epochs, trainable, learning_rate, optimizer, class_weight, early_stopping, augment, "
    "freeze_batch_norm",
    "train.phases=[{epochs: 3, learning_rate: -1}]": "train.phases[0].learning_rate must be a number above 0, or a "
    "group of keys with a name, got -1",
    "train.phases=[{epochs: 3, augment: {flip: sideways}}]": "train.phases[0].augment.flip must be one of horizontal, "
    "vertical, horizontal_and_vertical, null, got 'sideways'",
    "train.phases=[{epochs: 3, augment: {crop: [8, 8]}}]": "train.phases[0].augment.crop must be that of data.augment, "
    "null, got [8, 8]: images have one size in all phases, that of the model; leave it out here, and choose the size "
    "with data.augment.crop; resized_crop shows a random part in any phase",
    "train.phases=3": "train.phases must be a list of groups of keys, got 3",
    "train.phases=[{epochs: 3, optimizer: my_x.f}]": "train.phases[0].optimizer.target must be in a module that "
    "extensions lists, written my_module.f; got 'my_x.f' with extensions=[]; add 'extensions=[my_x]'",
    "train.phases=[{epochs: 3, optimizer: {name: sgd, use_ema: true}}]": "train.phases must be left out with "
    "use_ema=true of an optimizer, got both: each phase has a new optimizer, to which averages of the weights are not "
    "carried over; leave one of them out",
}  # fmt: skip


@pytest.mark.parametrize(("override", "told"), ONE_PROBLEM.items(), ids=ONE_PROBLEM)
def test_problem_of_a_phase_is_named(problems, override, told):
    assert problems(override) == [told]


def test_epochs_are_the_sum_of_the_phases():
    train = compose([PHASES]).train
    assert train.epochs == 13
    assert Train.model_validate(train.document()) == train
    assert train.document()["phases"][0] == {"epochs": 3, "trainable": False}


@pytest.mark.parametrize("epochs", [5, 13])
def test_epochs_next_to_phases_are_refused(problems, epochs):
    told = f"train.epochs must be left out with train.phases, whose epochs add up to it, got {epochs}; remove it"
    assert problems(PHASES, f"train.epochs={epochs}") == [told]


def test_epochs_of_your_file_are_refused(problems, workplace):
    workplace(conf__train__short="epochs: 7")
    (told,) = problems("train=short", PHASES)
    assert told.endswith("got 7; remove it (in conf/train/short.yaml)")


def test_schedule_of_a_phase_excludes_plateaus(problems):
    told = problems(f"train.phases=[{{epochs: 3, learning_rate: {SCHEDULE}}}]", "train.reduce_lr_on_plateau.patience=3")
    assert told == [
        "train.phases[0] must have a number for its learning rate with train.reduce_lr_on_plateau, got the schedule "
        "cosine_decay; leave one of them out"
    ]


def test_phase_is_checked_with_all_other_keys():
    with pytest.raises(
        ConfigurationError, match=r"in train.phases\[1\], train.class_weight must not be balanced with loader.balance"
    ):
        compose(["loader.balance=classes", "train.phases=[{epochs: 1}, {epochs: 1, class_weight: balanced}]"])


def test_mixing_in_a_phase_needs_shared_labels(problems):
    (told,) = problems("train.phases=[{epochs: 1}, {epochs: 1, augment: {mixup: 0.2}}]", "data.class_mode=sparse")
    assert told.startswith("in train.phases[1], data.augment.mixup must be 0 with class_mode=sparse, whose labels are")


def test_phases_turn_mixing_on_and_off():
    config = compose([
        "train.phases=[{epochs: 1}, {epochs: 1, augment: {mixup: null, flip: vertical}}, {epochs: 1, augment: null}]",
        "data.augment.mixup=0.2", "data.augment.crop=[4,4]",
    ])  # fmt: skip
    assert mixed_phases(config) == [True, False, False]
    assert not compose(["data.augment=null"]).data.augment
    assert [in_phase(config, number).data.augment.crop for number in range(3)] == [(4, 4)] * 3  # the model's size
    assert in_phase(compose(["train=default", *config.composed.overrides]), 1) == in_phase(config, 1)


def test_crop_is_not_turned_off_in_a_phase(problems):
    (told,) = problems("train.phases=[{epochs: 1, augment: {crop: null}}]", "data.augment.crop=[4,4]")
    assert told.startswith("train.phases[0].augment.crop must be that of data.augment, [4, 4], got null: images have")


def test_keys_of_a_phase_replace_those_outside():
    config = compose([
        "train.phases=[{epochs: 2, class_weight: null, augment: {rotation: 0.1}}, {epochs: 1, trainable: 1}]",
        "train.class_weight=balanced", "data.augment.flip=horizontal",
    ])  # fmt: skip
    first, second = in_phase(config, 0), in_phase(config, 1)
    assert (first.train.epochs, first.train.class_weight, first.data.augment.flip) == (2, None, None)
    assert first.data.augment.rotation == 0.1
    assert (second.train.epochs, second.train.class_weight, second.data.augment) == (1, "balanced", config.data.augment)
    assert in_phase(compose([]), 0) == compose([])
