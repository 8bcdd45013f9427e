"""A pass over masks: scores, files and rows of predictions.csv, whatever the batches, bad samples and other heads."""

import weakref

import keras
import numpy as np
import pytest
from PIL import Image

from runner.batch import ArraySpec
from runner.data.labels import Head, Labels
from runner.data.source import Source
from runner.distribute.exchange import WITHOUT_OTHERS, Exchange
from runner.distribute.ranks import Rank
from runner.errors import BadSampleError, DataError, RunnerError
from runner.fields import Fields, Layout
from runner.images.original_size import OriginalSize
from runner.loaders.kinds import Sequence
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from runner.models.base import outputs_of
from runner.place import Place
from runner.records.mask_scores import MaskScores
from runner.records.original_masks import Original
from runner.training.segmentation import Segmentation
from tests.support.run_files import read_rows

NAMES = ("dark", "mid", "bright")
MASK = Head("", "mask", NAMES, field="mask", stored=(10, 20, 30), ignored=255)
KIND = Head("kind", "categorical", ("a", "b"))


class Levels(Source):
    """Images of levels 0, 1 and 2; masks hold the level, but for the first row: ignored; and the second: the next."""

    spec = Layout((("image", ArraySpec((6, 5, 1), np.dtype("u1"))), ("mask", ArraySpec((6, 5), np.dtype("u1")))))

    def __init__(self, *heads, count=7, bad=()):
        self.ids, self.bad = tuple(f"f/{number}.png" for number in range(count)), bad
        columns = [np.empty(0, int) if head.mode == "mask" else np.arange(count) % 2 for head in heads]
        self.labels = Labels(heads, tuple(columns))

    def read(self, index, out=None):
        if index in self.bad:
            raise BadSampleError(self.ids[index], "torn")
        levels = np.random.default_rng(index).integers(0, 3, (6, 5), np.uint8)
        mask = levels.copy()
        mask[0], mask[1] = 255, (mask[1] + 1) % 3
        out[...] = Fields({"image": levels[..., None], "mask": mask})
        return out


@pytest.fixture(scope="module")
def model():
    """Finds the level of each pixel; of `kind`, it always gives 0.25 to a."""
    inputs = keras.Input((6, 5, 1))
    masks = keras.layers.Conv2D(3, 1, activation="softmax")
    kinds = keras.layers.Dense(2, activation="softmax")
    outputs = {"where": masks(inputs), "kind": kinds(keras.layers.Flatten()(inputs))}
    masks.set_weights([np.float32([[[[-9, 0, 9]]]]), np.float32([5, 0, -13])])
    kinds.set_weights([np.zeros((30, 2), "f4"), np.log(np.float32([0.25, 0.75]))])
    return keras.Model(inputs, outputs["where"]), keras.Model(inputs, outputs)


def loader_of(source, batch_size=3, *, shuffle=False):
    plan = Plan(num_samples=len(source), batch_size=batch_size, shuffle=shuffle)
    loader = Sequence(workers=0).build(source, plan)
    loader.handle_bad(OnBad("skip"), lambda *bad: None)
    return loader


def segmentation(model, source, heads=(MASK,), original=None, exchange=WITHOUT_OTHERS, **keys):
    outputs, loader = outputs_of(heads, source.spec), loader_of(source, **keys)
    return Segmentation(model, loader, heads=heads, outputs=outputs, original=original, exchange=exchange)


def expected(indices):
    """The sum of the scores of some samples, by definition."""
    total = MaskScores.empty(3)
    for index in indices:
        values = Levels(MASK).read(index, Levels.spec.empty()).arrays
        total += MaskScores.of(values["mask"], values["image"][..., 0], 3, 255)
    return total


def test_rows_files_and_scores_agree(model, tmp_path):
    done = segmentation(model[0], Levels(MASK))
    done.write(tmp_path)
    rows = read_rows(tmp_path / "predictions.csv")
    for index, row in enumerate(rows):
        image, scores = Levels(MASK).read(index, Levels.spec.empty()).arrays["image"], expected([index])
        with Image.open(tmp_path / row["predicted"]) as file:
            assert np.array_equal(np.asarray(file), 10 * image[..., 0] + 10)
        assert (row["height"], row["width"]) == ("6", "5")
        assert float(row["mean_iou"]) == scores.mean_iou
        assert [int(row[f"correct_{name}"]) for name in NAMES] == scores.correct.tolist()
        assert sum(int(row[f"predicted_{name}"]) for name in NAMES) == 25
    assert [row["id"] for row in rows] == list(Levels(MASK).ids)
    assert done.scores == expected(range(7)).document(NAMES)
    assert done.scores["classes"]["dark"]["iou"] < 1


@pytest.mark.parametrize("batch_size", [1, 7])
def test_digest_and_scores_ignore_batch_sizes(model, tmp_path, batch_size):
    ends = []
    for name, size in (("first", 3), ("other", batch_size)):
        (tmp_path / name).mkdir()
        ends.append(segmentation(model[0], Levels(MASK), batch_size=size))
        ends[-1].write(tmp_path / name)
    scored = segmentation(model[0], Levels(MASK), batch_size=batch_size)
    scored.score()
    assert ends[0].digest == ends[1].digest
    assert ends[0].scores == ends[1].scores == scored.scores


def test_bad_samples_are_left_out_of_rows(model, tmp_path):
    done = segmentation(model[0], Levels(MASK, bad=(0, 1, 2, 4)))
    done.write(tmp_path)
    assert [row["id"] for row in read_rows(tmp_path / "predictions.csv")] == ["f/3.png", "f/5.png", "f/6.png"]
    assert done.num_samples == 3
    assert done.scores == expected([3, 5, 6]).document(NAMES)


def test_nothing_readable_leaves_no_files(model, tmp_path):
    with pytest.raises(DataError, match="no sample"):
        segmentation(model[0], Levels(MASK, bad=range(7))).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_data_without_labels_has_no_scores(model, tmp_path):
    class Unlabelled(Levels):
        spec = Levels.spec.specs[0][1]

        def read(self, index, out=None):
            values = super().read(index, Levels.spec.empty())
            out[...] = values.arrays["image"]
            return out

    done = segmentation(model[0], Unlabelled())
    done.write(tmp_path)
    row = read_rows(tmp_path / "predictions.csv")[0]
    assert list(row) == ["id", "predicted", "height", "width", *(f"predicted_{name}" for name in NAMES)]
    assert sum(int(row[f"predicted_{name}"]) for name in NAMES) == 30
    assert done.scores == {}


def test_other_heads_are_written_next_to_masks(model, tmp_path):
    heads = (Head("where", "mask", NAMES, field="mask", ignored=255), KIND)
    done = segmentation(model[1], Levels(*heads), heads)
    done.write(tmp_path)
    rows = read_rows(tmp_path / "predictions.csv")
    assert [row["kind_label"] for row in rows] == [*"abababa"]
    assert {row["kind_predicted"] for row in rows} == {"b"}
    assert float(rows[0]["kind_b"]) == pytest.approx(0.75)
    assert rows[0]["where_predicted"] == "predictions/f/0.png"
    assert done.scores["where_mean_iou"] == expected(range(7)).mean_iou


class Alike(Levels):
    """Samples whose files would have the same name."""

    def __init__(self, *heads, **keys):
        super().__init__(*heads, **keys)
        self.ids = tuple(f"f/{'aA'[number % 2]}.s{number}" for number in range(len(self.ids)))


def test_ranks_write_what_one_process_does(model, tmp_path):
    heads = (Head("where", "mask", NAMES, field="mask", ignored=255), KIND)

    def write(name, exchange=WITHOUT_OTHERS):
        folder = tmp_path / name
        folder.mkdir()
        done = segmentation(model[1], Alike(*heads, count=40, bad=(4, *range(27, 40))), heads, exchange=exchange)
        done.write(folder)
        done.write_pictures(folder, "test")
        return done, {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.*")}

    alone, files = write("alone")
    (tmp_path / "ranks").mkdir()
    for number in (1, 2):
        write(f"rank {number}", Exchange(Rank(number, 3), tmp_path))
    joined, same = write("rank 0", Exchange(Rank(0, 3), tmp_path))
    assert same == files and len(files) > 26
    assert (joined.digest, joined.scores, joined.num_samples) == (alone.digest, alone.scores, 26)


def test_shuffled_samples_are_refused(model):
    with pytest.raises(RunnerError, match="build the loader with shuffle=False"):
        segmentation(model[0], Levels(MASK), shuffle=True)


def test_worst_and_best_are_pictured(model, tmp_path):
    done = segmentation(model[0], Levels(MASK, count=30))
    done.write(tmp_path)
    done.write_pictures(tmp_path, "test")
    rows = sorted(read_rows(tmp_path / "predictions.csv"), key=lambda row: float(row["mean_iou"]))
    pictured = [row["id"] for row in read_rows(tmp_path / "figures" / "masks.csv")]
    assert len(pictured) == 16
    assert pictured[0] == rows[0]["id"]
    assert {row["id"] for row in rows[-3:]} <= {*pictured[12:]}


def test_no_batch_outlives_its_rows(model, tmp_path):
    loader, seen, alive = loader_of(Levels(MASK, count=40), 2), [], []
    stream = loader.stream

    def watched(*steps):
        for batch in stream(*steps):
            seen.append(weakref.ref(batch.y))
            alive.append(sum(one() is not None for one in seen))
            yield batch

    loader.stream = watched
    Segmentation(model[0], loader, heads=(MASK,), outputs=outputs_of((MASK,), Levels.spec)).write(tmp_path)
    assert len(seen) == 20
    assert max(alive) <= 3


class Stored(Levels):
    """The same, of images that are files of 6 rows and twice as many columns; the model sees their centres."""

    def __init__(self, folder, **keys):
        super().__init__(MASK, **keys)
        self.folder = folder
        for number in range(len(self.ids)):
            self.path(number).parent.mkdir(exist_ok=True)
            Image.new("L", (10, 6 + number)).save(self.path(number))

    def path(self, index):
        return self.folder / self.ids[index]

    def places(self, index):
        return (Place(str(self.path(index))),)


CENTRES = OriginalSize((6, 5), keep_aspect_ratio=True)


@pytest.mark.parametrize("ignored", [None, 40, 300])
def test_files_have_the_size_of_their_images(model, tmp_path, ignored):
    source = Stored(tmp_path, bad=(1, 4))
    seen = segmentation(model[0], source)
    for name in ("seen", "original"):
        (tmp_path / name).mkdir()
    seen.write(tmp_path / "seen")
    done = segmentation(model[0], source, original=Original(CENTRES, ignored))
    done.write(tmp_path / "original")
    before, now = (read_rows(tmp_path / name / "predictions.csv") for name in ("seen", "original"))
    for row, other in zip(now, before, strict=True):
        number = source.ids.index(row["id"])
        codes = source.read(number, Levels.spec.empty()).arrays["image"][..., 0]
        expected = CENTRES.enlarged(codes, (6 + number, 10), 3)
        with Image.open(tmp_path / "original" / row["predicted"]) as file:
            assert np.array_equal(np.asarray(file), np.array([10, 20, 30, ignored or 10])[expected])
        assert row == other | {"height": str(6 + number), "width": "10"}
    assert (done.digest, done.scores) == (seen.digest, seen.scores)


def test_image_that_is_gone_is_named(model, tmp_path):
    source = Stored(tmp_path)
    source.path(5).unlink()
    with pytest.raises(BadSampleError, match=r"f/5\.png: no such file"):
        segmentation(model[0], source, original=Original(CENTRES)).write(tmp_path)
    assert not (tmp_path / "predictions").exists()


@pytest.mark.parametrize("ignored", [20, (1, 2, 3)])
def test_ignored_value_must_fit_the_classes(ignored):
    with pytest.raises(DataError, match=r"data\.ignore_value must be like the values of the model's classes, and none"):
        Original(CENTRES, ignored).refuse_unfit([MASK])
    Original(OriginalSize((6, 5)), ignored).refuse_unfit([MASK])


def test_model_without_masks_enlarges_nothing():
    with pytest.raises(DataError, match="this one predicts none; set predict.original_size=false, or train"):
        Original(CENTRES).refuse_unfit([KIND])
