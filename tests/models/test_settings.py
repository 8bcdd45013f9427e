"""The task a data set sets."""

import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.dataset import Dataset
from runner.data.labels import Head
from runner.models.base import task_of
from runner.models.mlp import MLP


@pytest.mark.parametrize(
    ("dtype", "scale", "expected"),
    [
        (np.uint8, "auto", "unit"),
        (np.float32, "auto", "none"),
        (np.uint8, "none", "none"),
        (np.float32, "signed", "signed"),
    ],
)
def test_scale_auto_is_unit_for_uint8_only(dtype, scale, expected):
    dataset = Dataset({}, (Head("", "input"),), ArraySpec((2,), np.dtype(dtype)))
    assert task_of(dataset, scale, MLP()).scaling == expected
