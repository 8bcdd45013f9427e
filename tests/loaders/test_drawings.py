"""`loader.balance` and `loader.draw_by`: in training only, from data that has what they need, by every loader."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import build_loader, compose
from runner.errors import ConfigurationError, DataError
from runner.loaders.members import Members
from runner.loaders.reader import OnBad
from runner.loaders.weighted_draw import OCCURRENCE_STEP
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import needed_bytes, plan_of, steps_per_pass
from tests.support.photos import write_photos

COUNTS = {"cat": 3, "dog": 30, "emu": 12}
WEIGHTS = {"cat": 4, "dog": 1, "emu": 0}
KEYS = ["data.target_size=[4,4]", "data.validation_split=0.2", "loader.batch_size=8"]
TABLE = ["data=dataframe", "data.manifest=m.csv"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Photos of three classes of different sizes, and a table that lists them."""
    folder = tmp_path_factory.mktemp("animals")
    for name, count in COUNTS.items():
        write_photos(folder, (name,), count)
    paths = sorted(folder.rglob("*.png"))
    rows = [[path.relative_to(folder), path.parent.name, WEIGHTS[path.parent.name], -1, "x"] for path in paths]
    with (folder / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "often", "below", "text"], *rows])
    return folder


@pytest.fixture
def configured(root):
    def settings(*overrides, table=False):
        data = (
            ["data=dataframe", f"data.manifest={root / 'm.csv'}"] if table else ["data=directory", f"data.root={root}"]
        )
        return compose([*data, *KEYS, *overrides])

    return settings


def names_of(loader, epoch):
    return [name for batch in loader.epoch(epoch) for name in batch.ids]


def test_balanced_epochs_have_each_class_alike(configured):
    with build_loader(configured("loader.balance=classes")) as loader:
        counts = np.bincount(loader.source.labels.columns[0])
        assert len(set(counts.tolist())) == 3
        each = -(-counts.sum() // 3)
        for epoch in range(2):
            names = [name.partition("/")[0] for name in names_of(loader, epoch)]
            assert [names.count(name) for name in COUNTS] == [each] * 3
        assert len(loader) == loader.plan.num_steps == -(-3 * each // 8)
    config = configured("loader.balance=classes")
    assert steps_per_pass(config, config.loader, open_dataset(config)) == len(loader)


def test_only_training_is_balanced(configured):
    config = configured("loader.balance=classes")
    dataset = open_dataset(config)
    held_out = plan_of(config, config.loader, dataset, "validation", training=False)
    assert held_out.drawing is None
    assert held_out.num_draws == len(dataset.splits["validation"])
    assert plan_of(config, config.loader, dataset, "train", training=False).drawing is None
    assert plan_of(config, config.loader, dataset, "train", training=True).drawing is not None


def test_numbers_of_a_table_say_how_often(configured):
    with build_loader(configured("loader.draw_by=often", table=True)) as loader:
        ids = list(loader.source.ids)
        weights = np.array([WEIGHTS[name.partition("/")[0]] for name in ids])
        names = names_of(loader, 3)
        assert len(names) == len(ids)
        counts = np.array([names.count(name) for name in ids])
        assert (np.abs(counts - len(ids) * weights / weights.sum()) < 1).all()
        draws = [loader.plan.batch(3, step) for step in range(len(loader))]
        assert {number % OCCURRENCE_STEP for draw in draws for number in draw.passes.tolist()} == {3}


@pytest.mark.parametrize(
    "way", [["loader=in_memory"], ["loader=directory_flow"], ["loader=generator", "loader.cache=disk"]]
)
@pytest.mark.parametrize("key", ["loader.balance=classes", "loader.draw_by=often"])
def test_every_loader_gives_the_same_draws(way, key, configured, tmp_path):
    keys = [key, "data.augment.zoom=0.5", "loader.workers=2", f"loader.cache_dir={tmp_path}"]
    with build_loader(configured(*keys, *way, table=True)) as loader, \
            build_loader(configured(*keys, "loader=sequence", table=True)) as other:  # fmt: skip
        for one, two in zip(loader.stream(3, 12), other.stream(3, 12), strict=True):
            assert one.ids == two.ids
            assert one.x.tobytes() == two.x.tobytes()


def test_summary_says_what_is_drawn(configured):
    dataset = open_dataset(configured("loader.balance=classes"))
    notes, each = dataset.notes, -(-len(dataset.splits["train"]) // 3)
    told = f"balanced: an epoch draws each of 3 classes {each} times, {3 * each} samples; on average"
    assert told in notes[0]
    assert notes[1].startswith("the model learns this mix: predicted probabilities are not those of the natural mix")
    by_column = open_dataset(configured("loader.draw_by=often", table=True))
    told = f"training draws {len(by_column.splits['train'])} samples per epoch, each as often as its often says"
    assert by_column.notes[0] == told
    assert not open_dataset(configured()).notes
    assert not open_dataset(configured("mode=pack", "pack.to=x", "loader.balance=classes")).notes


def test_substitute_is_of_the_same_class(tmp_path):
    folder = write_photos(tmp_path, ("cat", "dog"), 20)
    for number in range(10):
        (folder / "cat" / f"{number:02}.png").write_bytes(b"")
    keys = ["data=directory", f"data.root={folder}", *KEYS, "loader.balance=classes", "data.on_bad=substitute"]
    with build_loader(compose([*keys, "loader=generator"])) as loader:
        names = [name.partition("/")[0] for name in names_of(loader, 0)]
    assert names.count("cat") == names.count("dog") == len(names) // 2


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_substitutes_are_those_of_the_class(codes, data):
    index = data.draw(st.integers(0, len(codes) - 1))
    on_bad = OnBad("substitute", 5, Members.of_codes(np.array(codes), 4))
    alike = [sample for sample, code in enumerate(codes) if code == codes[index]]
    candidates = list(on_bad.candidates(index, len(codes)))
    assert candidates[0] == index
    assert sorted(candidates) == alike


def test_tables_count_as_memory_of_a_loader(configured):
    configs = [configured(*keys, table=True) for keys in ([], ["loader.balance=classes"], ["loader.draw_by=often"])]
    dataset = open_dataset(configs[0])
    plain, *others = [needed_bytes(config, config.loader, dataset, tuple(dataset.splits)) for config in configs]
    assert [size - plain for size in others] == [4 * len(dataset.splits["train"]), 12 * len(dataset.splits["train"])]


def test_only_target_with_classes_is_balanced(configured):
    targets = ["data.label_columns=[often,label]", "data.class_mode={often: raw, label: sparse}"]
    with build_loader(configured("loader.balance=classes", *targets, table=True)) as loader:
        names = [name.partition("/")[0] for name in names_of(loader, 0)]
        assert len({names.count(name) for name in COUNTS}) == 1


CUSTOM = ["data=none", "loader=custom", "loader.target=m.f", "extensions=[m]"]
REFUSED = [
    (["loader.balance=classes", "loader.shuffle=false"], "balance must be null with shuffle=false, got classes"),
    (["loader.balance=classes", "loader.order=blocks"], "balance must be null with order=blocks, got classes"),
    ([*TABLE, "loader.draw_by=w", "loader.shuffle=false"], "draw_by must be null with shuffle=false, got w"),
    ([*TABLE, "loader.draw_by=w", "loader.balance=classes"], "balance must be null with draw_by, got classes and 'w'"),
    ([*CUSTOM, "loader.balance=classes"], "balance must be null with loader=custom, got classes; m.f makes"),
    ([*CUSTOM, "loader.draw_by=w"], "draw_by must be null with loader=custom, got w; m.f makes the batches"),
    (["loader.balance=classes", "train.class_weight=balanced"], "train.class_weight must not be balanced with"),
    ([*TABLE, "loader.draw_by=w", "train.class_weight=balanced"], "must not be balanced with loader.draw_by: it"),
    ([*TABLE, "loader.draw_by=w", "data.weight_column=w"], "must be another column than data.weight_column, got 'w'"),
    (["loader.draw_by=w"], "loader.draw_by must be a column of data.manifest, got 'w' with data=digits"),
    ([*TABLE, "loader.balance=classes", "data.class_mode=multi_label"], "got data.class_mode=multi_label; leave"),
    ([*TABLE, "loader.balance=classes", "data.class_mode=raw"], "got data.class_mode=raw; leave loader.balance out"),
    (["loader.balance=classes", "data.class_mode=null"], "got data.class_mode=null; leave loader.balance out"),
    ([*TABLE, "loader.balance=classes", "data.label_columns=[a,b]"], "loader.balance needs one target with one class"),
    ([*TABLE, "loader.balance=classes", "data.class_mode={a: raw, b: raw}"], "needs one target with one class per"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "told"), REFUSED)
def test_draws_that_cannot_be_are_refused(overrides, told):
    with pytest.raises(ConfigurationError) as raised:
        compose(overrides)
    assert told in str(raised.value)


def test_mapping_of_one_class_can_be_balanced(configured):
    config = configured("loader.balance=classes", "data.class_mode={label: sparse}", table=True)
    assert open_dataset(config).heads[0].mode == "sparse"


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("gone", "must have the column 'gone'"),
        ("below", "row 1, column 'below', must hold a number of at least 0 to draw by (loader.draw_by), got '-1'"),
        ("text", "row 1, column 'text', must hold a number, got 'x'"),
    ],
)
def test_numbers_that_draw_nothing_are_refused(column, told, configured):
    with pytest.raises(DataError) as raised:
        build_loader(configured(f"loader.draw_by={column}", table=True))
    assert told in str(raised.value)


def test_zeros_alone_draw_nothing(configured, root):
    (root / "zero.csv").write_text("path,label,often\ncat/00.png,cat,0\ndog/00.png,dog,0\n")
    keys = [f"data.manifest={root / 'zero.csv'}", "data.validation_split=0", "loader.draw_by=often"]
    with pytest.raises(DataError, match="column 'often', must hold a number above 0 for a training sample, got only 0"):
        build_loader(configured(*keys, table=True))


def test_model_of_a_balanced_run_takes_any_data(configured):
    keys = ["loader.balance=classes", "data.class_mode=null"]
    assert configured(*keys, "mode=pack", "pack.to=x").loader.balance == "classes"
