"""Predicted masks as files: what they hold, their names, and that they are read back as the masks they are."""

import numpy as np
import pytest
from PIL import Image

from runner.data.labels import Head
from runner.errors import RunnerError
from runner.images.mask import read_mask_values
from runner.images.mask_classes import MaskClasses
from runner.place import Place
from runner.records.mask_files import FileNames, class_colors, mask_files, stored_image

CODES = np.uint8([[0, 1, 2], [2, 1, 0]])
NAMES = ("ground", "cat", "dog")


def head(*stored, names=NAMES):
    return Head("", "mask", names, stored=stored)


@pytest.mark.parametrize(
    "stored",
    [
        (0, 127, 255),
        (1, 2, 3),
        (7, 1000, 65_535),
        (-1, 0, 70_000),
        ((0, 0, 0), (128, 64, 128), (0, 0, 255)),
        (),
    ],
)
def test_mask_is_read_back_as_it_was_predicted(tmp_path, stored):
    with mask_files(tmp_path) as files:
        path = tmp_path / files.write(head(*stored), "a/1.jpg", CODES)
    colors = bool(stored) and isinstance(stored[0], tuple)
    values = read_mask_values(Place(str(path)), colors=colors)
    classes = MaskClasses(tuple(zip(stored or range(3), NAMES, strict=True)))
    assert np.array_equal(classes.codes(values), CODES)
    assert path.suffix == (".tif" if stored[:1] == (-1,) else ".png")


@pytest.mark.parametrize("count", [256, 300])
@pytest.mark.parametrize("colors", [False, True])
def test_many_classes_are_read_back(tmp_path, count, colors):
    names = tuple(map(str, range(count)))
    stored = tuple((code % 256, code // 256, 9) if colors else code for code in range(count))
    codes = np.arange(count, dtype=np.uint16)[None]
    stored_image(head(*stored, names=names), codes)[0].save(tmp_path / "m.png")
    values = read_mask_values(Place(str(tmp_path / "m.png")), colors=colors)
    assert np.array_equal(MaskClasses(tuple(zip(stored, names, strict=True))).codes(values), codes)


def test_palette_has_a_color_for_each_class(tmp_path):
    assert len(set(class_colors(60))) == 60
    image, _ = stored_image(head(0, 9, 255), CODES)
    assert image.mode == "P"
    assert len({image.convert("RGB").getpixel((column, 0)) for column in range(3)}) == 3


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["a/1.jpg", "b/1.jpg", "2.tiff"], ["a/1.png", "b/1.png", "2.png"]),
        (["a.jpg", "a.png", "A.gif", "a"], ["a.png", "a-2.png", "A-3.png", "a-4.png"]),
        (["1.25", "1.5"], ["1.25.png", "1.5.png"]),
        (["../../etc/a.png", "/root/a.png", "", ".."], ["_/_/etc/a.png", "root/a.png", "sample.png", "_.png"]),
        (["a.png", "a.png/b.jpg"], ["a.png", "a.png_b.png"]),
        (["x.png/b.jpg", "x.jpg"], ["x.png/b.png", "x-2.png"]),
        (["\u00e9.png", "e\u0301.png"], ["\u00e9.png", "e\u0301-2.png"]),
        (["a\n\udcff?.png", ".hidden/.a.png"], ["a___.png", "_hidden/_a.png"]),
    ],
)
def test_names_follow_ids_and_are_unique(ids, names):
    given = FileNames()
    assert [given.of(sample_id, ".png") for sample_id in ids] == names


def test_longest_name_fits_on_disk(tmp_path):
    with mask_files(tmp_path) as files:
        names = [files.write(head(), "ö" * 300 + suffix, CODES) for suffix in (".jpg", ".png")]
    assert len({*names}) == 2
    assert all((tmp_path / name).exists() for name in names)


def test_masks_appear_at_the_end_or_not_at_all(tmp_path):
    with pytest.raises(ZeroDivisionError), mask_files(tmp_path) as files:
        files.write(head(), "a", CODES)
        assert not (tmp_path / "predictions").exists()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_masks_of_another_run_are_not_overwritten(tmp_path):
    (tmp_path / "predictions").mkdir()
    with pytest.raises(RunnerError, match="predictions already exists and is not overwritten"), mask_files(tmp_path):
        pass


def test_mask_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunnerError, match=r"cannot write .*a\.png: Is a directory"), mask_files(tmp_path) as files:
        (tmp_path / ".tmp-predictions" / "a.png").mkdir()
        files.write(head(), "a", CODES)


def test_two_heads_have_a_folder_each(tmp_path):
    with mask_files(tmp_path) as files:
        names = [files.write(head(), "a.jpg", CODES, folder=name) for name in ("lung", "../heart")]
    assert names == ["predictions/lung/a.png", "predictions/_/heart/a.png"]
    with Image.open(tmp_path / names[0]) as image:
        assert image.size == (3, 2)
