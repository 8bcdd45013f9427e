"""The endless iterator over class folders."""

from dataclasses import replace

import numpy as np
import pytest

from runner.data.digits import Digits
from runner.errors import ConfigurationError, DataError
from runner.loaders.kinds import DirectoryFlow
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from tests.support.sources import NumberSource


@pytest.fixture(scope="module")
def source(digits_root):
    return Digits(root=digits_root, class_mode="sparse").open().splits["test"]


@pytest.fixture
def flow(source):
    plan = Plan(len(source), 100, seed=1)
    with DirectoryFlow(batch_size=100, workers=2, max_queue_size=2).build(source, plan) as made:
        yield made


def same(batch, other):
    return all(np.array_equal(one, another) for one, another in zip(batch, other, strict=True))


def test_flow_has_keras_filenames_and_classes(flow, source, digits_root):
    assert flow.samples == flow.n == flow.num_samples == len(source)
    assert flow.class_indices == {str(digit): digit for digit in range(10)}
    assert flow.num_classes == 10
    assert flow.filenames == list(source.ids)
    assert flow.filepaths == [f"{digits_root}/{name}" for name in source.ids]
    assert [name[0] for name in flow.filenames] == [str(code) for code in flow.classes]
    assert (flow.batch_size, flow.shuffle) == (100, True)
    assert (flow.target_size, flow.image_shape) == ((8, 8), (8, 8, 1))
    assert (flow.class_mode, flow.color_mode, flow.dtype, flow.seed) == ("sparse", "grayscale", "uint8", 1)
    assert flow.labels.tolist() == flow.classes.tolist()
    assert flow.sample_weight is None
    assert (flow.interpolation, flow.keep_aspect_ratio, flow.data_format) == ("bilinear", False, "channels_last")
    assert flow.directory == str(digits_root)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("save_to_dir", "a flow has no save_to_dir: no batch is written; write its images, next.flow..0., with keras"),
        ("subset", "the split is the one given to runner.build_loader"),
        ("image_data_generator", "as data.augment and data.transform say"),
        ("index_generator", "flow.index_array has the samples"),
        ("nonsense", "'DirectoryFlowLoader' object has no attribute 'nonsense'"),
    ],
)
def test_attribute_without_sense_says_what_to_use(flow, name, message):
    with pytest.raises(AttributeError, match=message):
        getattr(flow, name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shuffle", "shuffle of a flow cannot be set; give loader.shuffle=… to runner.compose"),
        ("target_size", "give data.target_size=…"),
        ("batch_index", r"flow.reset\(\) returns to the first batch"),
        ("save_to_dir", "cannot be set: no batch is written"),
        ("dtype", "has no setter"),
    ],
)
def test_attribute_without_effect_cannot_be_set(flow, name, message):
    with pytest.raises(AttributeError, match=message):
        setattr(flow, name, None)


def test_end_of_an_epoch_by_index_begins_the_next(flow):
    expected = [[batch.y.tolist() for batch in flow.epoch(epoch)] for epoch in range(3)]
    flow.on_epoch_end()  # nothing was taken
    for epoch in range(3):
        assert [flow[step][1].tolist() for step in range(len(flow))] == expected[epoch]
        flow.on_epoch_end()
    assert flow.batch_index == 0


def test_place_in_the_epoch_is_known(flow):
    for step in range(len(flow)):
        assert flow.batch_index == step
        rows = flow.index_array[100 * step : 100 * (step + 1)]
        assert flow.next()[1].tolist() == flow.classes[rows].tolist()
    assert flow.batch_index == 0


def test_next_passes_over_empty_batches(source):
    with DirectoryFlow(workers=0).build(source, Plan(4, 1, shuffle=False)) as flow:
        flow.reader = replace(flow.reader, source=NumberSource(4, flow.spec, bad={0, 1}), on_bad=OnBad("skip"))
        assert np.all(next(flow)[0] == 2)
        assert flow.total_batches_seen == 3
        flow.reader = replace(flow.reader, source=NumberSource(4, flow.spec, bad=range(4)))
        with pytest.raises(DataError, match="no sample can be read"):
            [next(flow) for _ in range(3)]


def test_flow_without_classes_has_none(digits_root):
    source = Digits(root=digits_root, class_mode=None).open().splits["test"]
    flow = DirectoryFlow(workers=0).build(source, Plan(len(source), 32))
    assert (flow.classes, flow.class_indices, flow.num_classes) == (None, {}, 0)
    assert len(next(flow)) == 1


def test_next_goes_on_over_the_ends_of_epochs(flow):
    expected = [(batch.x, batch.y) for epoch in range(3) for batch in flow.epoch(epoch)]
    assert all(same(next(flow), pair) for pair in expected)
    assert flow.total_batches_seen == 3 * len(flow)


def test_reset_returns_to_first_batch(flow):
    first = next(flow)
    for _ in range(len(flow)):
        next(flow)
    flow.reset()
    assert same(next(flow), first)


def test_index_is_of_the_epoch_the_flow_is_in(flow):
    for epoch in range(2):
        expected = [(batch.x, batch.y) for batch in flow.epoch(epoch)]
        assert all(same(flow[step], pair) for step, pair in enumerate(expected))
        assert same(flow[-1], expected[-1])
        for _ in range(len(flow)):
            next(flow)


def test_index_beyond_the_epoch_is_an_index_error(flow):
    for index in (len(flow), -len(flow) - 1):
        with pytest.raises(IndexError):
            flow[index]


def test_flow_goes_on_after_it_was_closed(flow):
    expected = [(batch.x, batch.y) for batch in flow.epoch(0)]
    next(flow)
    flow.close()
    assert same(next(flow), expected[1])


def test_flow_over_data_without_files_is_refused():
    class Rows:
        ids, has_bytes = ("a",), False

    with pytest.raises(ConfigurationError, match="loader=directory_flow needs one file per sample, .* choose loader="):
        DirectoryFlow().build(Rows(), Plan(1, 1))
