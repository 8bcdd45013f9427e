"""Augmentation: what it does to pixels, that it repeats, and what it refuses."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.batch import ArraySpec
from runner.errors import DataError
from runner.transforms.augment import augment
from runner.transforms.draws import Draws, symmetric
from runner.transforms.settings import Augment, Erasing, GaussianBlur, ResizedCrop

SHARES = st.floats(0, 0.9)
SETTINGS = st.builds(
    Augment,
    flip=st.sampled_from([None, "horizontal", "vertical", "horizontal_and_vertical"]),
    translation=st.none() | st.tuples(SHARES, SHARES),
    rotation=SHARES,
    zoom=SHARES,
    brightness=SHARES,
    contrast=SHARES,
    fill_mode=st.sampled_from(["reflect", "wrap", "constant", "nearest"]),
    resized_crop=st.none() | st.just(ResizedCrop()),
    shear_x=SHARES,
    blur=st.none() | st.just(GaussianBlur(kernel_size=5)),
    erasing=st.none() | st.just(Erasing()),
)


def photograph(shape=(24, 32, 3), dtype=np.uint8):
    """A smooth image that no flip, turn or move leaves as it is."""
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 0).reshape(shape).astype(dtype)


def spec_of(image):
    return ArraySpec(image.shape, image.dtype)


def changed(image, settings, *, epoch=0, index=0, seed=0):
    (change,) = augment(settings, spec_of(image), seed, training=True)
    before = image.copy()
    after = np.array(change(image, epoch, index))
    assert (after.shape, after.dtype) == (change.spec.shape, change.spec.dtype)
    assert np.array_equal(image, before)
    return after


def versions(image, settings, count=64):
    return [changed(image, settings, index=index) for index in range(count)]


def test_empty_augmentation_changes_nothing():
    assert augment(Augment(), spec_of(photograph()), 0, training=True) == ()
    assert augment(Augment(fill_mode="wrap"), ArraySpec((3,), np.dtype(np.float64)), 0, training=True) == ()


def test_only_training_is_augmented():
    assert augment(Augment(flip="horizontal", rotation=0.1), spec_of(photograph()), 0, training=False) == ()


@given(SETTINGS, st.sampled_from([(9, 14), (9, 14, 1), (9, 14, 2), (9, 14, 3), (9, 14, 4)]), st.integers(0, 2**60))
def test_equal_seed_epoch_index_give_equal_pixels(settings, shape, number):
    image = photograph(shape)
    for change in augment(settings, spec_of(image), number, training=True):
        first, second = (np.array(change(image, number, number)) for _ in range(2))
        assert (first.shape, first.dtype) == (image.shape, image.dtype)
        assert np.array_equal(first, second)


def test_golden_draws():
    # Change only with a major version; pixels may change by a level or so with OpenCV's interpolation.
    golden = (0.34245, 0.371313, 0.599388, 0.863799, 0.261563, 0.355237, 0.183743, 0.429815, 0.903377, 0.484251)
    later = (0.327618, 0.035835, 0.904394, 0.812603, 0.018201, 0.433115, 0.824978, 0.636975, 0.626207, 0.951469)
    last = (0.214728, 0.930088, 0.947465, 0.362969, 0.424951)
    assert tuple(round(draw, 6) for draw in Draws.of(1, 2, 3)) == golden + later + last


@pytest.mark.parametrize(
    "settings",
    [
        Augment(flip="horizontal_and_vertical"),
        Augment(crop=(20, 20)),
        Augment(translation=(0.2, 0.2)),
        Augment(rotation=0.1),
        Augment(zoom=0.2),
        Augment(brightness=0.3),
        Augment(contrast=0.3),
        Augment(resized_crop=ResizedCrop()),
        Augment(shear_x=0.2),
        Augment(shear_y=0.2),
        Augment(hue=0.5),
        Augment(saturation=(0.2, 0.8)),
        Augment(grayscale=0.5),
        Augment(blur=GaussianBlur(sigma=(1, 3))),
        Augment(erasing=Erasing()),
    ],
    ids=lambda settings: next(iter(settings.model_dump(exclude_defaults=True))),
)
def test_seed_epoch_and_index_change_pixels(settings):
    image = photograph()
    for name in ("seed", "epoch", "index"):
        least = 1 if settings.grayscale else 3
        assert len({changed(image, settings, **{name: number}).tobytes() for number in range(20)}) > least


@pytest.mark.parametrize(
    ("flip", "expected"),
    [
        ("horizontal", {"": 0.5, "h": 0.5}),
        ("vertical", {"": 0.5, "v": 0.5}),
        ("horizontal_and_vertical", {"": 0.25, "h": 0.25, "v": 0.25, "hv": 0.25}),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_flips_are_exact_and_as_frequent(flip, expected, dtype):
    image = photograph((6, 7, 1), dtype)
    looks = {"": image, "h": image[:, ::-1], "v": image[::-1], "hv": image[::-1, ::-1]}
    names = {look.tobytes(): name for name, look in looks.items()}
    found = [names[version.tobytes()] for version in versions(image, Augment(flip=flip), 400)]
    shares = {name: found.count(name) / 400 for name in set(found)}
    assert shares == pytest.approx(expected, abs=0.09)


def test_flip_ignores_other_transforms():
    image = photograph()
    plain = versions(image, Augment(flip="horizontal_and_vertical"))
    hardly_moved = versions(image, Augment(flip="horizontal_and_vertical", rotation=1e-9))
    assert all(map(np.array_equal, plain, hardly_moved))


def test_crops_come_from_the_whole_image():
    image = np.arange(6 * 9, dtype=np.uint8).reshape(6, 9)
    parts = versions(image, Augment(crop=(4, 7)), 200)
    assert {part[0, 0] for part in parts} == {image[top, left] for top in range(3) for left in range(3)}
    assert all(np.array_equal(part - part[0, 0], image[:4, :7]) for part in parts)


def test_crop_as_large_as_the_image_is_the_image():
    assert np.array_equal(changed(photograph(), Augment(crop=(24, 32))), photograph())


@pytest.mark.parametrize("shape", [(24, 32), (24, 32, 1), (24, 32, 3)])
def test_other_splits_use_the_centre_crop(shape):
    image = photograph(shape)
    (fit,) = augment(Augment(crop=(12, 12), flip="horizontal"), spec_of(image), 0, training=False)
    shown = fit(image, 5, 7)
    assert (shown.shape, shown.dtype) == ((12, 12, *shape[2:]), image.dtype)
    centre = image[:, 4:28].reshape(12, 2, 12, 2, *shape[2:]).mean((1, 3))
    assert np.abs(shown - centre).mean() < 4


def test_moves_by_whole_pixels_are_exact():
    image = photograph()
    draws = Draws.of(0, 0, 0)
    rows = 0.25 * 24 * symmetric(draws.move_down, 1)
    share = round(rows) / (24 * symmetric(draws.move_down, 1))
    moved = changed(image, Augment(translation=(abs(share), 0.0), fill_mode="constant"))
    rows = round(rows) if share > 0 else -round(rows)
    assert rows
    kept = slice(max(rows, 0), 24 + min(rows, 0))
    assert np.array_equal(moved[kept], np.roll(image, rows, axis=0)[kept])
    assert not np.delete(moved, range(24)[kept], axis=0).any()


def test_rotation_by_a_quarter_turn_is_exact():
    image = photograph((21, 21, 3))
    index = next(index for index in range(99) if abs(symmetric(Draws.of(0, 0, index).turn, 1)) > 0.5)
    turn = symmetric(Draws.of(0, 0, index).turn, 1)
    turned = changed(image, Augment(rotation=abs(0.25 / turn)), index=index)
    assert np.array_equal(turned, np.rot90(image, 1 if turn > 0 else -1))


@pytest.mark.parametrize("index", range(6))
def test_zoom_shows_as_much_as_it_says(index):
    image = np.zeros((101, 101), np.uint8)
    cv2.circle(image, (50, 50), 20, 255, -1)
    zoom = 1 + symmetric(Draws.of(0, 0, index).zoom, 0.5)
    area = np.count_nonzero(changed(image, Augment(zoom=0.5, fill_mode="constant"), index=index) > 127)
    assert area == pytest.approx(np.count_nonzero(image) / zoom**2, rel=0.04)


@pytest.mark.parametrize(
    ("fill_mode", "row"),
    [("reflect", [20, 10, 10, 20, 30]), ("wrap", [40, 50, 10, 20, 30]), ("constant", [0, 0, 10, 20, 30]),
     ("nearest", [10, 10, 10, 20, 30])],
)  # fmt: skip
def test_fill_mode_fills_beyond_the_edge(fill_mode, row):
    image = np.array([[10, 20, 30, 40, 50]], np.uint8)
    index = next(index for index in range(99) if symmetric(Draws.of(0, 0, index).move_right, 1) > 0.5)
    share = 0.4 / symmetric(Draws.of(0, 0, index).move_right, 1)
    moved = changed(image, Augment(translation=(0.0, share), fill_mode=fill_mode), index=index)
    assert moved.tolist() == [row]


@pytest.mark.parametrize("index", range(8))
def test_brightness_and_contrast_match_keras(index):
    image, draws = photograph(), Draws.of(0, 0, index)
    values = image.astype(np.float64)
    mean = values.mean((0, 1))
    expected = (values - mean) * (1 + symmetric(draws.contrast, 0.4)) + mean + 255 * symmetric(draws.brightness, 0.2)
    toned = changed(image, Augment(brightness=0.2, contrast=0.4), index=index)
    assert np.abs(toned - np.clip(expected, 0, 255)).max() <= 0.5 + 1e-9


def test_draws_ignore_other_settings():
    image = photograph()
    alone = changed(image, Augment(brightness=0.2))
    with_crop = changed(image, Augment(brightness=0.2, crop=(24, 32)))
    assert np.array_equal(alone, with_crop)


@pytest.mark.parametrize(
    ("settings", "spec", "message"),
    [
        (
            Augment(flip="horizontal"),
            ArraySpec((16, 16, 16, 1), np.dtype(np.float32)),
            "data.augment needs images of height×width or height×width×1 to 4, of dtype uint8, uint16, float32, got "
            "samples of 16×16×16×1 float32; remove data.augment, or augment them in a function of yours "
            "(data.transform)",
        ),
        (Augment(flip="vertical"), ArraySpec((5,), np.dtype(np.uint8)), "got samples of 5 uint8"),
        (Augment(zoom=0.1), ArraySpec((8, 8, 5), np.dtype(np.uint8)), "got samples of 8×8×5 uint8"),
        (Augment(zoom=0.1), ArraySpec((8, 8), np.dtype(np.int64)), "got samples of 8×8 int64"),
        (
            Augment(contrast=0.1),
            ArraySpec((8, 8, 1), np.dtype(np.float32)),
            "data.augment.brightness and data.augment.contrast need 8-bit images, got samples of 8×8×1 float32; "
            "set both to 0",
        ),
        (
            Augment(crop=(8, 9)),
            ArraySpec((8, 8, 1), np.dtype(np.uint8)),
            "data.augment.crop must fit into samples of 8×8×1 uint8, got 8×9; lower it, or read larger images",
        ),
        (
            Augment(hue=0.1),
            ArraySpec((8, 8, 3), np.dtype(np.float32)),
            "data.augment.hue and data.augment.saturation need 8-bit images of 3 channels, got samples of 8×8×3 "
            "float32; set data.augment.hue=0 and data.augment.saturation=null",
        ),
        (
            Augment(saturation=(0.1, 0.2)),
            ArraySpec((8, 8), np.dtype(np.uint8)),
            "need 8-bit images of 3 channels, got samples of 8×8 uint8",
        ),
        (
            Augment(grayscale=0.1),
            ArraySpec((8, 8, 4), np.dtype(np.uint8)),
            "data.augment.grayscale needs images of 3 channels, got samples of 8×8×4 uint8; set it to 0",
        ),
        (
            Augment(erasing=Erasing()),
            ArraySpec((8, 8, 1), np.dtype(np.float32)),
            "data.augment.erasing.fill_value must be a number for samples of 8×8×1 float32, got null, which is noise",
        ),
        (
            Augment(erasing=Erasing(fill_value=256)),
            ArraySpec((8, 8, 1), np.dtype(np.uint8)),
            "data.augment.erasing.fill_value must be from 0 to 255 for samples of 8×8×1 uint8, got 256",
        ),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_what_cannot_be_augmented_is_refused(settings, spec, message, training):
    with pytest.raises(DataError) as refused:
        augment(settings, spec, 0, training=training)
    assert message in str(refused.value)


def test_documentation_has_every_key_and_picture():
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "how-to/augmentation.md").read_text()
    assert [name for name in Augment.model_fields if f".{name}`" not in page] == []
    pictures = {name.name for name in (docs / "images/augment").iterdir()}
    assert {name for name in pictures if f"../images/augment/{name})" not in page} == set()
    assert len(pictures) == page.count("../images/augment/") == 17
