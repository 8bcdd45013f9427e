"""The keys that a run has chosen, whoever made its settings."""

import pytest

from runner import compose
from runner.data.digits import Digits
from runner.modes.defaults import chosen_keys


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], {}),
        (["loader.batch_size=32", "name=mine", "tags=[a]"], {}),
        (["loader=in_memory", "model=mlp", "data=directory", "data.root=."], {"data.root": "."}),
        (
            ["data.target_size=[20,20]", "data.augment.rotation=0.1", "seed=7", "mode=fit"],
            {"mode": "fit", "seed": 7, "data.target_size": [20, 20], "data.augment.rotation": 0.1},
        ),
        (["train.early_stopping.patience=3"], {"train.early_stopping.patience": 3}),
    ],
)
def test_chosen_keys_differ_from_the_defaults(overrides, expected):
    assert chosen_keys(compose(overrides)) == expected


def test_part_that_is_off_by_default_is_chosen():
    chosen = chosen_keys(compose(["train.early_stopping={}"]))
    assert chosen["train.early_stopping"]["patience"] == 5


def test_settings_made_in_python_have_chosen_keys():
    settings = compose([]).model_copy(update={"data": Digits(kind="digits", limit=40)})
    assert chosen_keys(settings) == {"data.limit": 40}
