"""Colours, blur and erased rectangles, compared with Keras's layers: what is drawn, and what it does to pixels."""

import cv2
import numpy as np
import pytest

from runner import compose
from runner.batch import ArraySpec
from runner.errors import ConfigurationError
from runner.fields import Fields, Layout
from runner.transforms.augment import augment
from runner.transforms.draws import Draws, between, symmetric
from runner.transforms.settings import Augment, Erasing, GaussianBlur

COUNT = 1500
DRAWS = [Draws.of(0, 0, index) for index in range(COUNT)]
DECILES = np.linspace(0.05, 0.95, 10)
IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8), (5, 5), 0)


def changed(settings, index=0, image=IMAGE):
    (change,) = augment(settings, ArraySpec(image.shape, image.dtype), 0, training=True)
    return change(image, 0, index)


def drawn(layer, shape=(COUNT, 8, 8, 3)):
    """What a layer of Keras draws for as many images."""
    found = layer.get_random_transformation(np.zeros(shape, np.float32), training=True)
    if not isinstance(found, dict):
        return np.asarray(found)
    return {name: np.asarray(value) for name, value in found.items() if not isinstance(value, tuple)}


def alike(ours, theirs, spread):
    return np.quantile(ours, DECILES) == pytest.approx(np.quantile(theirs, DECILES), abs=0.08 * spread)


@pytest.fixture(scope="module")
def layers():
    import keras

    keras.utils.set_random_seed(0)
    return keras.layers


def test_hue_is_as_in_keras(layers):
    layer = layers.RandomHue(0.4)
    assert alike([symmetric(draws.hue, 0.2) for draws in DRAWS], drawn(layer)["factor"], 0.4)
    turn = {"factor": np.array([symmetric(DRAWS[0].hue, 0.2)], np.float32)}
    expected = np.asarray(layer.transform_images(IMAGE[None].astype(np.float32), turn))[0]
    assert np.abs(changed(Augment(hue=0.4)) - expected).max() < 6
    assert np.abs(changed(Augment(hue=0.4)) - expected).mean() < 1


def test_saturation_is_as_in_keras(layers):
    layer = layers.RandomSaturation((0.2, 0.45))
    ours = np.array([between(draws.saturation, 0.2, 0.45) for draws in DRAWS])
    assert alike(ours / (1 - ours), drawn(layer)["factor"], 0.57)
    factor = {"factor": np.array([ours[0] / (1 - ours[0])], np.float32)}
    expected = np.asarray(layer.transform_images(IMAGE[None].astype(np.float32), factor))[0]
    assert np.abs(changed(Augment(saturation=(0.2, 0.45))) - expected).max() < 5


def test_full_saturation_stays_in_range():
    assert changed(Augment(saturation=(1, 1))).min(axis=2).max() <= 1
    assert np.ptp(changed(Augment(saturation=(0, 0))), axis=2).max() == 0


def test_grayscale_is_as_in_keras(layers):
    layer = layers.RandomGrayscale(0.3)
    assert np.mean([draws.grayscale < 0.3 for draws in DRAWS]) == pytest.approx(drawn(layer).mean(), abs=0.06)
    expected = np.asarray(layer.transform_images(IMAGE[None].astype(np.float32), np.full((1, 1, 1, 1), True)))[0]
    assert np.abs(changed(Augment(grayscale=1.0)) - expected).max() <= 1
    assert np.array_equal(changed(Augment(grayscale=0.0, blur=GaussianBlur(factor=0.0))), IMAGE)


def test_blur_is_as_in_keras(layers):
    # From a number Keras draws the probability first: (0.3, 0.3) is the share of 0.3.
    layer = layers.RandomGaussianBlur((0.3, 0.3), kernel_size=5, sigma=(0.4, 0.8))
    share = np.mean([draws.blur < 0.3 for draws in DRAWS])
    assert share == pytest.approx(drawn(layer)["should_apply_blur"].mean(), abs=0.06)
    sigmas = [between(point, 0.4, 0.8) for point in (DRAWS[0].blur_x, DRAWS[0].blur_y)]
    given = {"should_apply_blur": np.array([True]), "blur_factor": np.array(sigmas, np.float32)}
    expected = np.asarray(layer.transform_images(IMAGE[None].astype(np.float32), given))[0]
    smooth = changed(Augment(blur=GaussianBlur(kernel_size=5, sigma=(0.4, 0.8))))
    assert np.abs(smooth - expected)[2:-2, 2:-2].max() <= 1.5


def test_shear_is_as_in_keras(layers):
    theirs = drawn(layers.RandomShear(0.3, 0.1))["shear_factor"]
    assert alike([symmetric(draws.shear_x, 0.3) for draws in DRAWS], theirs[:, 0], 0.6)
    assert alike([symmetric(draws.shear_y, 0.1) for draws in DRAWS], theirs[:, 1], 0.2)


def test_erased_areas_are_as_in_keras(layers):
    theirs = drawn(layers.RandomErasing((0.6, 0.6), scale=(0.1, 0.4)), (COUNT, 20, 30, 1))
    there = np.where(theirs["apply_erasing"], theirs["batch_masks"][..., 0].sum((1, 2)), 0)
    settings = Augment(erasing=Erasing(factor=0.6, scale=(0.1, 0.4), fill_value=1))
    blank = np.zeros((20, 30, 1), np.uint8)
    here = [changed(settings, index, blank).sum() for index in range(COUNT)]
    assert np.mean(np.equal(here, 0)) == pytest.approx(np.mean(there == 0), abs=0.06)
    assert np.mean(here) == pytest.approx(np.mean(there), rel=0.08)
    assert (min(filter(None, here)), max(here)) == pytest.approx((min(there[there > 0]), max(there)), abs=20)


def test_noise_is_clipped_as_in_keras():
    image = np.full((40, 40, 3), 77, np.uint8)
    noise = np.concatenate(
        [one[one != 77] for index in range(20) for one in [changed(Augment(erasing=Erasing()), index, image)]]
    )
    assert np.mean(noise == 0) == pytest.approx(0.5, abs=0.05)
    assert np.mean(noise == 255) == pytest.approx(0.16, abs=0.04)


def test_erased_rectangle_is_anywhere():
    settings = Augment(erasing=Erasing(scale=(0.1, 0.2), fill_value=1))
    blank = np.zeros((12, 12), np.float32)
    hit = sum(changed(settings, index, blank) for index in range(300))
    assert min(hit[0].sum(), hit[-1].sum(), hit[:, 0].sum(), hit[:, -1].sum()) > 0
    assert hit[6, 6] > 2 * hit[0, 6] > 0


def test_masks_keep_their_values():
    mask = (IMAGE[..., 0] // 64).astype(np.uint8)
    specs = Layout((("image", ArraySpec(IMAGE.shape, IMAGE.dtype)), ("mask", ArraySpec(mask.shape, mask.dtype))))
    all_pixels = Augment(hue=0.5, saturation=(0, 1), grayscale=0.5, blur=GaussianBlur(), erasing=Erasing())
    (change,) = augment(all_pixels, specs, 0, training=True, masks={"mask": 0})
    both = change(Fields({"image": IMAGE, "mask": mask}), 0, 0).arrays
    assert np.array_equal(both["mask"], mask)
    assert not np.array_equal(both["image"], IMAGE)


def test_ranges_that_descend_are_refused():
    with pytest.raises(ConfigurationError) as refused:
        compose(
            [
                "data.augment.blur.kernel_size=4",
                "data.augment.saturation=[0.6,0.4]",
                "data.augment.resized_crop.ratio=[2,1]",
                "data.augment.erasing.scale=[0.5,0.2]",
            ]
        )
    problems = [problem.removeprefix("data.augment.") for problem in refused.value.problems]
    assert sorted(problems) == [
        "blur.kernel_size must be odd, got 4; write 3 or 5",
        "erasing.scale must be [low, high], got [0.5, 0.2]; write [0.2, 0.5]",
        "resized_crop.ratio must be [low, high], got [2, 1]; write [1, 2]",
        "saturation must be [low, high], got [0.6, 0.4]; write [0.4, 0.6]",
    ]
