"""MixUp and CutMix: what is mixed with what, in which shares, and the same by every loader."""

import numpy as np
import pytest

from runner import build_loader, compose
from runner.batch import ArraySpec, Batch
from runner.data.labels import Head
from runner.errors import ConfigurationError
from runner.fields import Layout
from runner.loaders.blend import Blend, blend_of
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from runner.transforms.settings import Augment
from tests.support.sources import NumberSource

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (12, 10, 14, 3), np.uint8)
LABELS = np.eye(4, dtype=np.float32)[RANDOM.integers(0, 4, 12)]
WEIGHTS = RANDOM.random(12, np.float32)
IDS = tuple(map(str, range(12)))
BATCH = Batch(IMAGES, LABELS, WEIGHTS, IDS)
MIXUP, CUTMIX = Blend(0.4, 0.0, 5), Blend(0.0, 1.0, 5)


def with_partners(values, blend=MIXUP, place=(2, 3)):
    recipe = blend.recipe(len(values), *place)
    shares = recipe.weights.reshape(-1, *(1,) * (values.ndim - 1))
    return values, np.roll(values, -recipe.shift, axis=0), shares


def between(values):
    own, partner, shares = with_partners(values)
    return own * shares + partner * (1 - shares)


def test_golden_recipe():
    # Change only with a major version.
    recipe = Blend(0.2, 0.0, 1).recipe(3, 2, 3)
    assert (recipe.shift, recipe.weights.round(6).tolist()) == (1, [0.790404, 0.292215, 0.49041])


def test_pixels_are_rounded_to_the_nearest():
    mixed = MIXUP.mix(BATCH, 2, 3)
    assert (mixed.x.dtype, mixed.x.shape) == (np.uint8, IMAGES.shape)
    assert np.abs(mixed.x - between(IMAGES)).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_other_dtypes_stay_what_they_are(dtype):
    x = (IMAGES[..., 0] * 100.5).astype(dtype)
    mixed = MIXUP.mix(Batch(x, LABELS, None, IDS), 2, 3).x
    assert mixed.dtype == dtype
    assert np.allclose(mixed, between(x), atol=0.51 if dtype == "uint16" else 0.01)


def test_labels_and_weights_become_shares():
    mixed = MIXUP.mix(BATCH, 2, 3)
    assert np.allclose(mixed.y, between(LABELS), atol=1e-6)
    assert np.allclose(mixed.sample_weight, between(WEIGHTS), atol=1e-6)
    assert (mixed.y.dtype, mixed.sample_weight.dtype, mixed.ids) == (np.float32, np.float32, IDS)
    assert np.allclose(mixed.y.sum(axis=1), 1)


def test_cutmix_pastes_a_rectangle_of_its_area():
    mixed = CUTMIX.mix(BATCH, 2, 3)
    own, partner, _ = with_partners(IMAGES, CUTMIX)
    for row in range(12):
        pasted = np.any(mixed.x[row] != own[row], axis=-1)
        assert np.array_equal(mixed.x[row][pasted], partner[row][pasted])
        rows, columns = (np.flatnonzero(pasted.any(axis=axis)) for axis in (1, 0))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1) if len(rows) else 0
        own_label, other = LABELS[row], with_partners(LABELS, CUTMIX)[1][row]
        assert np.allclose(mixed.y[row], own_label + (other - own_label) * area / 140, atol=1e-6)


def test_both_take_turns_by_chance():
    blend = Blend(0.4, 1.0, 0)
    cuts = [blend.recipe(4, 0, step).places is not None for step in range(300)]
    assert 0.4 < np.mean(cuts) < 0.6


def test_partner_is_another_row_that_changes():
    shifts = [MIXUP.recipe(5, epoch, step).shift for epoch in range(8) for step in range(8)]
    assert set(shifts) == {1, 2, 3, 4}
    assert Blend(0.4, 0.0, 6).recipe(5, 0, 0).weights[0] != MIXUP.recipe(5, 0, 0).weights[0]


@pytest.mark.parametrize("blend", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])
def test_batch_of_one_or_none_stays(blend):
    one = Batch(IMAGES[:1], LABELS[:1], None, IDS[:1])
    assert np.array_equal(blend.mix(one, 0, 0).x, one.x)
    assert np.allclose(blend.mix(one, 0, 0).y, one.y)
    assert len(blend.mix(Batch(IMAGES[:0], LABELS[:0], None, ()), 0, 0)) == 0


def test_all_inputs_and_outputs_have_one_share():
    several = {"image": IMAGES, "age": WEIGHTS}
    targets = {"kind": LABELS, "size": WEIGHTS}
    mixed = MIXUP.mix(Batch(several, targets, {"kind": WEIGHTS, "size": WEIGHTS}, IDS), 2, 3)
    assert np.array_equal(mixed.x["image"], MIXUP.mix(BATCH, 2, 3).x)
    for values in (mixed.x["age"], mixed.y["size"], mixed.sample_weight["kind"]):
        assert np.allclose(values, between(WEIGHTS), atol=1e-6)


def test_shares_are_drawn_as_in_keras():
    import keras

    keras.utils.set_random_seed(0)
    deciles = np.linspace(0.05, 0.95, 10)
    layer = keras.layers.MixUp(alpha=0.4)
    theirs = np.asarray(layer.get_random_transformation(np.zeros((2000, 2, 2, 3), np.float32))["mix_weight"])
    ours = Blend(0.4, 0.0, 0).recipe(2000, 0, 0).weights
    assert np.quantile(ours, deciles) == pytest.approx(np.quantile(theirs, deciles), abs=0.07)
    cutmix, images = keras.layers.CutMix(factor=1.0), np.zeros((20, 20, 20, 1), np.float32)
    cut = np.concatenate([np.asarray(cutmix.get_random_transformation(images)["mix_weight"]) for _ in range(60)])
    kept = np.concatenate([Blend(0.0, 1.0, 0).recipe(20, 0, step).weights for step in range(60)])
    assert np.mean(cut) == pytest.approx(np.mean(kept), abs=0.06)
    assert np.quantile(cut, [0.3, 0.7]) == pytest.approx(np.quantile(kept, [0.3, 0.7]), abs=0.15)


KEYS = ["data.limit=70", "loader.batch_size=16", "data.augment.mixup=0.4", "data.augment.cutmix=1", "loader.workers=2"]
LOADERS = {
    "in_memory": [],
    "in_memory augmented": ["loader=in_memory", "data.augment.rotation=0.1"],
    "sequence": ["loader=sequence"],
    "processes": ["loader=sequence", "loader.use_multiprocessing=true"],
    "directory_flow": ["loader=directory_flow"],
    "cache": ["loader=sequence", "loader.cache=memory"],
}


def stream(digits_root, *keys, split="train"):
    config = compose([f"data.root={digits_root}", *KEYS, *keys])
    with build_loader(config, split=split) as loader:
        return list(loader.stream(2, 5))


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_mixes_alike(digits_root, name):
    keys = LOADERS[name] or ["loader=in_memory"]
    augmented = [key for key in keys if "augment" in key]
    expected = stream(digits_root, "loader=generator", *augmented)
    for one, other in zip(stream(digits_root, *keys), expected, strict=True):
        assert one.ids == other.ids
        assert np.array_equal(one.y, other.y)
        assert np.array_equal(one.x, other.x)


def test_flow_of_keras_mixes_alike(digits_root):
    from runner.feeds.flow import KerasFlow

    with build_loader(compose([f"data.root={digits_root}", *KEYS, "loader=directory_flow"])) as flow:
        assert KerasFlow.of(flow).blend == flow.blend == Blend(0.4, 1.0, 0)


def test_only_training_batches_are_mixed(digits_root):
    held_out = stream(digits_root, "loader=generator", split="validation")
    assert {value for batch in held_out for value in batch.y.ravel().tolist()} == {0, 1}
    mixed = stream(digits_root, "loader=generator")
    assert any(0 < value < 1 for batch in mixed for value in batch.y.ravel().tolist())


@pytest.mark.parametrize("kind", [Sequence, InMemory])
def test_samples_left_out_are_no_partners(kind):
    def kept(settings):
        plan = Plan(num_samples=22, batch_size=8, seed=3)
        with settings.build(NumberSource(22, bad={3, 9, 20}), plan) as loader:
            loader.handle_bad(OnBad("skip"), loader.note)
            loader.blend = MIXUP
            return list(loader.stream(0, 3))

    for one, other in zip(kept(kind(batch_size=8, workers=2)), kept(Generator(batch_size=8)), strict=True):
        assert one.ids == other.ids
        assert np.array_equal(one.x, other.x)


PIXELS = ArraySpec((8, 8, 3), np.dtype(np.uint8))
CLASSES = Head("", "categorical", ("a", "b"))


@pytest.mark.parametrize(
    ("settings", "heads", "spec", "problem"),
    [
        (
            {"mixup": 0.2},
            [Head("", "sparse", ("a", "b"))],
            PIXELS,
            "data.augment.mixup must be 0 with class_mode=sparse, whose labels are numbers of classes, of which "
            "none is a share of two; set class_mode=categorical",
        ),
        (
            {"mixup": 0.2, "cutmix": 1.0},
            [CLASSES, Head("size", "sparse", ("a", "b"))],
            PIXELS,
            "data.augment.mixup and data.augment.cutmix must be 0 with class_mode=sparse (output size)",
        ),
        ({"cutmix": 1.0}, [Head("", "raw")], PIXELS, "with class_mode=raw: a number is not divided as the area is"),
        ({"mixup": 0.2}, [Head("", "mask", ("a",), field="mask")], PIXELS, "whose target is an array of the sample"),
        ({"mixup": 0.2}, [Head("", "input")], PIXELS, "with class_mode=input, whose target is the sample itself"),
        ({"mixup": 0.2}, [], PIXELS, "data.augment.mixup must be 0 with class_mode=null, which has no labels to mix"),
        (
            {"mixup": 0.2},
            [CLASSES],
            ArraySpec((4,), np.dtype(np.int64)),
            "data.augment.mixup must be 0 for samples of 4 int64: only values of uint8, uint16, float32 can be mixed",
        ),
        (
            {"cutmix": 1.0},
            [CLASSES],
            Layout((("image", PIXELS), ("age", ArraySpec((1,), np.dtype(np.float32))))),
            "CutMix cuts images of one height and width alike; leave data.augment.cutmix out",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused(settings, heads, spec, problem):
    with pytest.raises(ConfigurationError) as refused:
        blend_of(Augment(**settings), spec, heads, 0)
    assert problem in str(refused.value)


@pytest.mark.parametrize("mode", ["categorical", "binary", "multi_label", "raw"])
def test_mixup_takes_shares_and_numbers(mode):
    names = () if mode == "raw" else ("a", "b")
    assert blend_of(Augment(mixup=0.2), PIXELS, [Head("", mode, names)], 3) == Blend(0.2, 0.0, 3)
    assert blend_of(Augment(flip="vertical"), PIXELS, [Head("", mode, names)], 3) is None


def test_sparse_labels_are_refused_before_reading(digits_root):
    with pytest.raises(ConfigurationError, match="set class_mode=categorical"):
        stream(digits_root, "data.class_mode=sparse")
