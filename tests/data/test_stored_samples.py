import pickle
import tarfile

import numpy as np
import pytest

from runner import compose
from runner.data.masks import MaskedImages
from runner.data.places import MemberPlaces, Spans
from runner.data.stored_samples import StoredSamples
from runner.data.views import Selection, join, relabel, select
from runner.errors import BadSampleError
from runner.place import using_fetched
from tests.support.masks import write_discs


def packed(file, source, number=0):
    """The members of a tar file with the bytes of array `number` of each sample."""
    with tarfile.open(file, "w") as tar:
        for index in range(len(source)):
            tar.add(source.places(index)[number].file, f"{index}")
    with tarfile.open(file) as tar:
        found = [(member.offset_data, member.size) for member in tar]
    offsets, sizes = np.array(found, np.int64).T
    return MemberPlaces((str(file),), np.zeros(len(source), np.int32), offsets, sizes, source.ids)


def hashed(source, index):
    values = source.spec.empty()
    return source.read_hashed(index, values), values


@pytest.fixture(scope="module")
def images(digits_root):
    overrides = ["data=directory", f"data.root={digits_root}", "data.limit=12", "data.target_size=[8,8]"]
    return compose(overrides).data.open().splits["train"]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    root = tmp_path_factory.mktemp("volumes")
    arrays = [np.full((3, 4), number, dtype) for number, dtype in enumerate(("f4", ">f4", "f4", "f4"))]
    for number, array in enumerate(arrays):
        np.save(root / f"id-{number}.npy", np.asfortranarray(array) if number == 2 else array)
    (root / "partition.json").write_text('{"train": ["id-0", "id-1", "id-2", "id-3"]}')
    overrides = ["data=npy", f"data.root={root}", f"data.partition={root}/partition.json", "data.class_mode=null"]
    return compose([*overrides, "data.validation_split=0"]).data.open().splits["train"]


@pytest.mark.parametrize("kind", ["images", "volumes"])
def test_members_are_read_like_files(request, tmp_path, kind):
    files = request.getfixturevalue(kind)
    members = StoredSamples(packed(tmp_path / "a.tar", files), files.ids, files.labels, files.decoder)
    assert members.has_bytes
    assert members.sample_name(1) == f"{tmp_path}/a.tar: {files.ids[1]}"
    many = [np.empty((len(files), *files.spec.shape), files.spec.dtype) for _ in range(2)]
    for source, out in zip((files, members), many, strict=True):
        source.read_many(np.arange(len(files)), out)
    assert np.array_equal(*many)
    for source in (members, pickle.loads(pickle.dumps(members))):
        for index in range(len(files)):
            (digest, values), (expected, array) = hashed(source, index), hashed(files, index)
            assert digest == expected
            assert np.array_equal(values, array)


@pytest.mark.parametrize("kind", ["images", "volumes"])
def test_fetched_bytes_are_decoded_like_files(request, kind):
    files = request.getfixturevalue(kind)
    fetched = {place: memoryview(place.fetch()) for index in range(3) for place in files.places(index)}
    with using_fetched(fetched):
        arrays = [files.read(index) for index in range(3)]
        many = np.empty((3, *files.spec.shape), files.spec.dtype)
        files.read_many(np.arange(3), many)
    assert all(np.array_equal(array, files.read(index)) for index, array in enumerate(arrays))
    assert np.array_equal(many, np.stack(arrays))


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (20, "the file ends within its header"),
        (60, "the file ends within its header"),
        (160, "the file ends after 32 of"),
    ],
)
def test_cut_array_is_refused(volumes, cut, reason):
    place = volumes.places(0)[0]
    with using_fetched({place: place.fetch()[:cut]}), pytest.raises(BadSampleError, match=reason):
        volumes.read(0)


def test_spans_follow_the_views(images, tmp_path):
    members = StoredSamples(packed(tmp_path / "a.tar", images), images.ids, images.labels, images.decoder)
    spans = members.spans()
    chosen = np.array([5, 0, 7])
    for view in (select(members, chosen), Selection(members, chosen), relabel(Selection(members, chosen), ())):
        assert view.spans().offset.tolist() == spans.offset[chosen].tolist()
        assert view.spans().size.tolist() == spans.size[chosen].tolist()
        assert view.sample_name(2) == members.sample_name(7)
    assert images.spans() is None
    assert join((images, images)).spans() is None


def test_masks_lie_next_to_their_images(tmp_path):
    root = write_discs(tmp_path / "d", 6)
    overrides = ["data=directory", f"data.root={root}/images", f"data.masks={root}/masks", "data.class_mode=mask"]
    keys = ["data.mask_values={0: ground, 255: disc}", "data.validation_split=0", "data.target_size=[8,8]"]
    files = compose([*overrides, *keys]).data.open().splits["train"]
    while not isinstance(files, MaskedImages):
        files = files.source
    assert files.spans() is None
    parts = [packed(tmp_path / f"{number}.tar", files, number) for number in range(2)]
    images = StoredSamples(parts[0], files.ids, files.images.labels, files.images.decoder)
    members = MaskedImages(images, parts[1], files.decoder, files.labels)
    for index in range(len(files)):
        (digest, values), (expected, arrays) = hashed(members, index), hashed(files, index)
        assert digest == expected
        assert all(np.array_equal(values.arrays[name], arrays.arrays[name]) for name in ("image", "mask"))


def test_span_over_two_members():
    files, number = ("a",), np.zeros(2, np.int32)
    image = Spans(files, number, np.array([512, 9000]), np.array([100, 10]))
    mask = Spans(files, number, np.array([1024, 8000]), np.array([7, 20]))
    both = image.over(mask)
    assert both.offset.tolist() == [512, 8000]
    assert both.size.tolist() == [519, 1010]
