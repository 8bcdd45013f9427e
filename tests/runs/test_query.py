"""Conditions on runs."""

import pytest

from runner.records.run_folder import RunFolder
from runner.runs.query import Condition

HOLDING = [
    ("seed", "=", (0,)),
    ("seed", "=", (7, 0)),
    ("seed", "!=", (1, 2)),
    ("seed", "<", (1,)),
    ("evaluate.accuracy", ">=", (0.9,)),
    ("val_loss", "<=", (0.31,)),
    ("started", ">", ("2020-01-01",)),
    ("nothing", "!=", (1,)),
    ("nothing", "=", (None,)),
    ("digests.weights", "=", ("0" * 64,)),
]
NOT_HOLDING = [
    ("seed", "=", (False,)),
    ("seed", "=", ("sequence",)),
    ("seed", "!=", (1, 0)),
    ("seed", ">", (0,)),
    ("nothing", "<", (1,)),
    ("loader", ">", (1,)),
    ("evaluate.accuracy", ">", ("0.1",)),
]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (("name", "=", ("first try",)), True),
        (("tags", "=", ("old",)), True),
        (("tags", "=", ("new", "small")), True),
        (("tags", "!=", ("old",)), False),
        (("tags", "=", ("ol",)), False),
        (("data", "=", ("mine",)), True),
        (("data", "=", ("directory",)), True),
        (("data", "!=", ("mine",)), False),
        (("data", "=", ("min",)), False),
    ],
)
def test_named_run_is_found(make, condition, holds):
    run = RunFolder(make("a", more={"name": "first try", "tags": ["old", "small"], "data": {"kind": "directory"}}))
    assert Condition(*condition).holds(run) == holds


@pytest.mark.parametrize("condition", HOLDING)
def test_condition_holds(make, condition):
    assert Condition(*condition).holds(RunFolder(make("a")))


@pytest.mark.parametrize("condition", NOT_HOLDING)
def test_condition_does_not_hold(make, condition):
    assert not Condition(*condition).holds(RunFolder(make("a")))
