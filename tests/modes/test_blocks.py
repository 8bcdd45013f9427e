"""`loader.order=blocks` in a run: which splits have blocks, what memory they need, and what the record says."""

import pytest

from runner import compose
from runner.data.dataset import Dataset
from runner.data.labels import Head
from runner.errors import DataError
from runner.loaders.blocks import NUM_WINDOWS, cut_blocks
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import LoadingPlan, choose_loader, needed_bytes, plan_of, streaming
from runner.modes.summary import loader_lines
from tests.support.large_files import write_large_files

KEYS = ["loader.order=blocks", "loader.block_mb=0.01", "loader.window_mb=0.1", "loader.batch_size=8"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_large_files(tmp_path_factory.mktemp("packs"))


def dataset_of(source, *heads):
    return Dataset({"train": source, "validation": source}, heads, source.spec)


def plan(source, split, *overrides, heads=()):
    config = compose([*KEYS, *overrides])
    return plan_of(config, config.loader, dataset_of(source, *heads), split, training=split == "train")


def test_both_splits_are_read_in_blocks(source):
    train, validation = plan(source, "train"), plan(source, "validation")
    assert train.blocks == validation.blocks == cut_blocks(source, block_mb=0.01, window_mb=0.1)
    assert (train.shuffle, validation.shuffle) == (True, False)
    assert plan(source, "train", "loader.order=random").blocks is None


@pytest.mark.parametrize("head", [Head("", "mask", ("a", "b"), field="mask"), Head("", "raw", (), shape=(2, 2))])
def test_predicted_arrays_keep_the_sources_order(head, source):
    assert plan(source, "train", heads=[head]).blocks is not None
    assert plan(source, "validation", heads=[head]).blocks is None


def test_window_too_small_for_a_batch_is_refused(source):
    with pytest.raises(DataError, match=r"^loader.window_mb=0.1 is too small for batches of 64 samples"):
        plan(source, "train", "loader.batch_size=64")


def test_windows_count_in_the_memory_of_a_loader(source):
    random, blocks = compose([*KEYS, "loader.order=random"]), compose(KEYS)
    dataset = dataset_of(source)
    without = needed_bytes(random, random.loader, dataset, ("train",))
    with_windows = needed_bytes(blocks, blocks.loader, dataset, ("train",))
    largest = plan(source, "train").blocks.largest_window_bytes
    assert NUM_WINDOWS * largest <= with_windows - without < NUM_WINDOWS * largest + 10_000
    choice = choose_loader(blocks, dataset, ("train",), 10**9)
    with pytest.raises(DataError, match=r"loader=sequence with loader.order=blocks needs .*; lower loader.window_mb"):
        LoadingPlan(choice, with_windows, with_windows - 1).refuse_too_large()


def test_auto_measures_no_order_by_blocks(source, monkeypatch):
    monkeypatch.setattr("runner.loaders.auto.num_processors", lambda: 3)
    choice = choose_loader(compose([*KEYS, "loader=auto"]), dataset_of(source), ("train",), 10**9)
    assert choice.settings.order == "blocks"
    assert choice.reason.endswith("3 threads, one per processor, not measured with loader.order=blocks")


def test_one_more_pass_has_the_same_order(source):
    settings = compose(KEYS).loader
    assert (streaming(settings).order, streaming(settings).block_mb, streaming(settings).window_mb) == (
        settings.order,
        settings.block_mb,
        settings.window_mb,
    )


def test_record_names_the_order(digits_root):
    config = compose([f"data.root={digits_root}", "loader=sequence"])
    document = choose_loader(config, open_dataset(config), ("train",), 10**9).document()
    assert (document["order"], document["block_mb"], document["window_mb"]) == ("random", 32.0, 1024.0)


def test_screen_names_the_order(source):
    config, dataset = compose(KEYS), dataset_of(source)
    [(_, line), *_] = loader_lines(choose_loader(config, dataset, ("train",), 10**9), 2000)
    assert line.endswith("10 batches ahead, blocks of 0.01 MiB in windows of 0.1 MiB, needs 2.0 kB")
