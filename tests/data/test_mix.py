"""`data=mix`: parts become one, and training draws them in their shares."""

import numpy as np
import pytest

from runner import build_loader, compose
from runner.data.mix import Mix
from runner.data.mixed import Mixed, part_codes
from runner.data.views import select
from runner.errors import ConfigurationError, DataError
from runner.loaders.members import Members
from runner.loaders.plan import Plan
from runner.loaders.rounds import Rounds
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import plan_of
from runner.records.earlier import resume_differences
from tests.support.packs import write_pack
from tests.support.photos import write_photos
from tests.support.sources import NumberSource


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Photos of the same two classes in two folders, of which the second is small; and of other classes."""
    folder = tmp_path_factory.mktemp("mix")
    sizes = {"old": (("cat", "dog"), 20), "new": (("cat", "dog"), 8), "other": (("cat", "emu"), 4)}
    return {name: write_photos(folder / name, classes, count) for name, (classes, count) in sizes.items()}


@pytest.fixture
def configured(roots):
    """A mix of the parts named; a part is given by its share, or by its keys."""

    def settings(*overrides, **parts):
        texts = []
        for name, keys in parts.items():
            root = roots.get(name, roots["old"])
            all_keys = ["kind: directory", f"root: {root}", "validation_split: 0.25", keys or "test_split: 0"]
            if "target_size" not in keys:
                all_keys.append("target_size: [5, 4]")
            texts.append(f"{name}: {{{', '.join(all_keys)}}}")
        return compose(["data=mix", f"data.parts={{{', '.join(texts)}}}", "loader.batch_size=8", *overrides])

    return settings


def test_parts_keep_their_splits_and_get_names(configured, roots):
    dataset = open_dataset(configured(old="", new="test_split: 0.5"))
    alone = {
        name: open_dataset(compose(["data=directory", f"data.root={roots[name]}", "data.target_size=[5,4]", *keys]))
        for name, keys in {
            "old": ["data.validation_split=0.25"],
            "new": ["data.validation_split=0.25", "data.test_split=0.5"],
        }.items()
    }
    for split, source in dataset.splits.items():
        listed = {name: each.splits[split].ids if split in each.splits else () for name, each in alone.items()}
        assert list(source.ids) == [f"{name}/{one}" for name, ids in listed.items() for one in ids]
    assert "test: no samples of old" in dataset.notes
    assert dataset.heads[0].class_names == ("cat", "dog")


def test_parts_without_shares_come_once_per_epoch(configured):
    with build_loader(configured(old="", new="")) as loader:
        names = [name for batch in loader.epoch(0) for name in batch.ids]
        assert sorted(names) == sorted(loader.source.ids)
        assert loader.plan.drawing is None


WAYS = [["loader=in_memory"], ["loader=directory_flow"], ["loader=generator", "loader.cache=disk"]]


@pytest.mark.parametrize("way", WAYS)
def test_training_draws_parts_in_their_shares(way, configured, tmp_path):
    keys = ["data.augment.zoom=0.5", "loader.workers=2", f"loader.cache_dir={tmp_path}", "loader.batch_size=10"]
    config = configured(*keys, *way, old="share: 0.3", new="share: 0.7")
    with build_loader(config) as loader, build_loader(configured(*keys, old="share: 3", new="share: 7")) as other:
        for one, two in zip(loader.stream(0, 9), other.stream(0, 9), strict=True):
            assert sum(name.startswith("old/") for name in one.ids) == 3
            assert one.ids == two.ids
            assert one.x.tobytes() == two.x.tobytes()


def test_held_out_samples_come_once_each(configured):
    config = configured(old="share: 0.3", new="share: 0.7")
    dataset = open_dataset(config)
    plan = plan_of(config, config.loader, dataset, "validation", training=False)
    assert plan.drawing is None
    assert plan.num_draws == len(dataset.splits["validation"])


def test_summary_says_how_long_a_pass_takes(configured):
    dataset = open_dataset(configured(old="share: 0.3", new="share: 0.7"))
    sizes = np.bincount(part_codes(dataset.splits["train"]).codes)
    total = 10 * -(-sizes.sum() // 10)
    passes = [f"{size / (total * share):.3g}" for size, share in zip(sizes, (0.3, 0.7), strict=True)]
    assert dataset.notes[-1] == (
        f"training draws {total} samples per epoch: 30% from old, of which a pass takes {passes[0]} epochs; 70% from "
        f"new, of which a pass takes {passes[1]} epochs"
    )


def test_limit_leaves_samples_of_all_parts(configured):
    dataset = open_dataset(configured("data.limit=12", old="", new=""))
    parts = part_codes(dataset.splits["train"])
    assert len(parts.codes) == 12
    assert set(parts.codes.tolist()) == {0, 1}


def test_parts_are_known_through_views():
    mixed = Mixed.of({"a": NumberSource(3), "b": NumberSource(5)})
    assert list(mixed.ids) == ["a/s0", "a/s1", "a/s2", "b/s0", "b/s1", "b/s2", "b/s3", "b/s4"]
    chosen = part_codes(select(mixed, np.array([7, 0, 3])))
    assert (chosen.names, chosen.codes.tolist()) == (("a", "b"), [1, 0, 1])
    assert part_codes(NumberSource(3)) is None


def test_samples_of_a_part_are_read_in_one_call():
    sources, calls = {"a": NumberSource(3), "b": NumberSource(5)}, []
    for name, source in sources.items():
        source.read_many = lambda indices, out, name=name: calls.append((name, indices.tolist())) or out.fill(len(out))
    out = np.empty((4, 1), np.float32)
    Mixed.of(sources).read_many(np.array([7, 0, 3, 2]), out)
    assert calls == [("a", [0, 2]), ("b", [4, 0])]
    assert out.ravel().tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("shares", "slots"), [((0.7, 0.3), (7, 3)), ((2, 1), (2, 1)), ((0.333, 0.667), (333, 667)), ((0.5, 0.5), (1, 1))]
)
def test_shares_make_the_smallest_rounds(shares, slots):
    parts = {f"p{number}": {"kind": "digits", "share": share} for number, share in enumerate(shares)}
    assert Mix.model_validate({"parts": parts}).slots == slots


OTHERS = {
    "other": ("", "the same order, got categorical (cat, dog) from old and categorical (cat, emu) from other"),
    "small": ("target_size: [3, 3]", r"samples of one form, got 5×4×3 uint8 from old and 3×3×3 uint8 from small"),
    "sparse": ("class_mode: sparse", "got categorical (cat, dog) from old and sparse (cat, dog) from sparse"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_parts_that_differ_are_refused(name, configured):
    keys, told = OTHERS[name]
    with pytest.raises(DataError) as raised:
        open_dataset(configured(old="", **{name: keys}))
    assert told in str(raised.value)


REFUSED = [
    (["data.validation_split=0.5"], "", "data.validation_split must be given for each part, as parts.old.validation_"),
    (
        [],
        "augment: {zoom: 0.1}",
        "data.parts.new.augment must be left out, as it holds for all parts; set",
    ),
    ([], "share: 0.3", "data.parts must all have a share, or none of them, got none for old"),
    ([], "share: 0", "data.parts.new.share must be a number above 0, or null, got 0"),
    ([], "rot: 0", "unknown key 'data.parts.new.rot'"),
]


@pytest.mark.parametrize(("overrides", "keys", "told"), REFUSED)
def test_keys_that_do_not_fit_are_refused(overrides, keys, told, configured):
    with pytest.raises(ConfigurationError) as raised:
        configured(*overrides, old="", new=keys)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("loader.balance=classes", "loader.balance"),
        ("loader.shuffle=false", "loader.shuffle=false"),
        ("loader.order=blocks", "loader.order=blocks"),
        ("train.class_weight=balanced", "train.class_weight=balanced"),
    ],
)
def test_shares_decide_the_order_alone(override, key, configured):
    with pytest.raises(ConfigurationError, match=f"{key} must not go with shares of data.parts"):
        configured(override, old="share: 1", new="share: 2")
    assert configured(override, old="", new="") if override != "loader.order=blocks" else True


WRONG = {
    "{a: {kind: digits}}": "data.parts must be two or more, got a",
    "{a: {kind: digits}, b c: {kind: digits}}": "names of letters, digits, _ and -, got 'b c'",
    "{a: {kind: digits}, b: {kind: mix}}": "data.parts.b.kind must be one of arrays",
    "{a: {kind: digits, share: 0.0001}, b: {kind: digits, share: 1}}": "denominator of at most 1,000, got a 0.0001",
    "{a: {kind: digits}, b: {kind: directory, root: gone}}": "data.parts.b.root must be an existing folder, got gone",
    "{a: {kind: digits}, b: {kind: custom, target: m.f}}": "data.parts.b.target must be in a module that extensions",
}


@pytest.mark.parametrize("parts", WRONG)
def test_parts_that_cannot_be_are_refused(parts):
    with pytest.raises(ConfigurationError) as raised:
        compose(["data=mix", f"data.parts={parts}"])
    assert WRONG[parts] in str(raised.value)


def test_share_needs_a_mix():
    with pytest.raises(
        ConfigurationError, match=r"data.share must be null, got 0.5: only parts of data=mix have shares"
    ):
        compose(["data.share=0.5"])


def test_bad_sample_is_replaced_within_its_part(tmp_path):
    for name in ("old", "new"):
        write_photos(tmp_path / name, ("cat", "dog"), 10)
    for file in sorted((tmp_path / "new" / "cat").iterdir())[:6]:
        file.write_bytes(b"")
    roots = {name: tmp_path / name for name in ("old", "new")}
    keys = "target_size: [5, 4], share: 1"
    parts = ", ".join(f"{name}: {{kind: directory, root: {root}, {keys}}}" for name, root in roots.items())
    keys = ["data=mix", f"data.parts={{{parts}}}", "data.on_bad=substitute", "loader=generator"]
    with build_loader(compose(keys)) as loader:
        names = [name.partition("/")[0] for batch in loader.epoch(0) for name in batch.ids]
    assert names.count("old") == names.count("new") == len(names) // 2


def test_moved_parts_may_be_resumed():
    first = {"kind": "mix", "parts": {"a": {"root": "x", "target_size": [5, 4]}}}

    class Run:
        config, document = {"data": first}, {"versions": {}, "git": None, "data": {}}

    moved = {"data": {**first, "parts": {"a": {"root": "y", "target_size": [5, 9]}}}}
    differences = [text for text in resume_differences(Run, moved, "tensorflow", {}) if text.startswith("data.")]
    assert len(differences) == 1
    assert differences[0].startswith("data.parts.a.target_size changed")


def test_pack_of_a_mix_has_its_samples(configured, tmp_path):
    dataset = open_dataset(configured(old="", new=""))
    packed = write_pack(tmp_path, *configured(old="", new="").composed.overrides)
    opened = open_dataset(compose(["data=pack", f"data.root={packed}"]))
    for split, source in dataset.splits.items():
        other = opened.splits[split]
        assert list(other.ids) == list(source.ids)
        assert all(np.array_equal(other.read(index), source.read(index)) for index in (0, len(source) - 1))
        assert other.labels.columns[0].tolist() == source.labels.columns[0].tolist()


def test_packed_mix_is_drawn_in_its_shares(configured, tmp_path):
    config = configured(old="share: 2", new="share: 1")
    packed = compose(
        ["data=pack", f"data.root={write_pack(tmp_path, *config.composed.overrides)}", "loader.batch_size=8"]
    )
    with build_loader(config) as files, build_loader(packed) as pack:
        assert files.plan.drawing is not None
        for epoch in range(2):
            batches = zip(files.epoch(epoch), pack.epoch(epoch), strict=True)
            assert all(list(one.ids) == list(other.ids) for one, other in batches)
    (note,) = [note for note in open_dataset(packed).notes if note in open_dataset(config).notes]
    assert note.startswith("training draws ")
    ordered = compose([*packed.composed.overrides, "loader.shuffle=false"])
    assert "loader.shuffle=false draws without the shares of the packed parts old, new" in open_dataset(ordered).notes
    with build_loader(ordered) as loader:
        assert loader.plan.drawing is None


def test_folds_of_a_mix_are_those_of_its_parts(configured, roots):
    alone = compose(["data=directory", f"data.root={roots['old']}", "data.folds=3", "data.fold=2"]).data.open()
    keys = "target_size: [5, 4], test_split: 0"
    parts = ", ".join(f"{name}: {{kind: directory, root: {roots[name]}, {keys}}}" for name in ("old", "new"))
    mix = [compose(["data=mix", f"data.parts={{{parts}}}", "data.folds=3", f"data.fold={fold}"]) for fold in range(3)]
    held_out = [list(open_dataset(config).splits["validation"].ids) for config in mix]
    assert sorted(name for fold in held_out for name in fold) == sorted(
        mix[0].data.undivided().open().splits["train"].ids
    )
    expected = [f"old/{name}" for name in alone.splits["validation"].ids]
    assert [name for name in held_out[2] if name.startswith("old/")] == expected
    with pytest.raises(ConfigurationError, match="parts.old.validation_split must be left out with data.folds"):
        configured("data.folds=3", "data.fold=0", old="", new="")


def test_undivided_parts_hold_nothing_out(configured):
    data = configured(old="", new="test_split: 0.5").data.undivided()
    assert list(data.open().splits) == ["train"]


def test_rounds_of_a_mix_run_on_over_epochs():
    mixed = Mixed.of({"a": NumberSource(30), "b": NumberSource(4)})
    drawing = Rounds(Members.of_codes(mixed.codes, 2), (1, 1))
    plan = Plan(num_samples=34, batch_size=34, drawing=drawing)
    seen = [plan.batch(epoch, 0) for epoch in range(2)]
    first = np.concatenate([draw.indices[draw.indices < 30] for draw in seen])
    assert len(set(first[:30].tolist())) == 30
    assert max(draw.passes[draw.indices >= 30].max() for draw in seen) == 8
