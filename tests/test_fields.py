"""Several named arrays: one buffer, indexed and copied like one array."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runner.batch import ArraySpec
from runner.fields import ALIGNMENT, Fields, Layout, in_order, inputs_of, packed, spec_of, take_rows, unpack
from runner.loaders.reader import allocate
from tests.support.sources import PATIENT

SPECS = st.builds(
    ArraySpec,
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    st.sampled_from(["uint8", "float32", "int64", "bool"]).map(np.dtype),
)
NAMED = st.dictionaries(st.text(max_size=5), SPECS, min_size=1, max_size=4)
LAYOUTS = NAMED.map(lambda specs: Layout((*specs.items(),)))


def filled(layout, num_samples, seed=0):
    rows, random = allocate(layout, num_samples), np.random.default_rng(seed)
    for array in rows.arrays.values():
        array[...] = random.integers(0, 2, array.shape)
    return rows


def same(one, other):
    return all(np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items())


@given(LAYOUTS, st.integers(1, 5))
def test_arrays_of_a_batch_lie_in_one_buffer(layout, num_samples):
    rows = allocate(layout, num_samples)
    starts = [array.ctypes.data for array in rows.arrays.values()]
    assert all(start % ALIGNMENT == 0 for start in starts)
    assert max(starts) - min(starts) < layout.buffer_bytes(num_samples)
    assert {name: (array.shape, array.dtype) for name, array in rows.arrays.items()} == {
        name: ((num_samples, *spec.shape), spec.dtype) for name, spec in layout.specs
    }
    assert spec_of(rows[0]) == layout


@given(LAYOUTS, st.integers(2, 5))
def test_arrays_do_not_overlap(layout, num_samples):
    rows = filled(layout, num_samples)
    before = rows.copy()
    for name in rows.arrays:
        rows.arrays[name][...] = ~rows.arrays[name] if rows.arrays[name].dtype == bool else rows.arrays[name] + 1
        assert all(np.array_equal(array, before.arrays[other]) for other, array in rows.arrays.items() if other != name)
        rows.arrays[name][...] = before.arrays[name]


@given(LAYOUTS, st.integers(1, 5))
def test_packed_rows_unpack_to_the_same(layout, num_samples):
    rows, copy = filled(layout, num_samples), filled(layout, num_samples, seed=1)
    bytes_of_rows = packed(rows)
    assert bytes_of_rows.shape == (num_samples, layout.num_bytes)
    unpack(bytes_of_rows, copy)
    assert same(rows, copy)


def test_row_is_a_view_of_every_array():
    rows = filled(PATIENT, 4)
    rows[2][...] = filled(PATIENT, 1, seed=5)[0]
    assert same(rows[2], filled(PATIENT, 1, seed=5)[0])
    assert all(np.shares_memory(rows[2].arrays[name], rows.arrays[name]) for name in rows.arrays)
    assert len(rows[1:3]) == len(rows[np.array([True, False, True, False])]) == 2


def test_single_number_is_written_through_its_row():
    numbers = Layout((("a", ArraySpec((), np.dtype(np.float32))), ("b", ArraySpec((2,), np.dtype(np.uint8)))))
    rows = filled(numbers, 3)
    rows[1].arrays["a"][...] = 7
    assert rows.arrays["a"][1] == 7


def test_taken_rows_are_copies_in_order():
    rows, out = filled(PATIENT, 6), allocate(PATIENT, 3)
    take_rows(rows, np.array([5, 0, 5]), out)
    assert same(out[0], rows[5]) and same(out[1], rows[0]) and same(out[2], rows[5])
    assert not np.shares_memory(out.arrays["age"], rows.arrays["age"])


def test_x_is_a_dict_in_the_order_of_the_names():
    assert list(inputs_of(filled(PATIENT, 1))) == ["image", "age", "before/after"]
    turned = Fields(dict(reversed(filled(PATIENT, 1)[0].arrays.items())))
    assert list(in_order(turned, PATIENT).arrays) == ["image", "age", "before/after"]
    assert str(PATIENT) == "image 3×5×1 uint8, age 1 float32, before/after 2 int64"
