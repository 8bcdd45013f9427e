"""Completion of a command line in a shell."""

import pytest

from runner.config.completion import completions


@pytest.fixture
def completed(workplace):
    workplace(conf__loader__mine="defaults: [sequence]\n", photos__a="", photoset__b="")

    def complete(text):
        return completions(f"keras-runner {text}", ["--help", "--schema", "-m"])

    return complete


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lo", ["loader.", "loader="]),
        ("ru", ["runs"]),
        ("--he", ["--help"]),
        ("runs li", []),
        ("loader=s", ["loader=sequence"]),
        ("loader=m", ["loader=mine"]),
        ("-m loader=sequence,gen", ["loader=sequence,generator"]),
        ("data.on_", ["data.on_bad="]),
        ("data.on_bad=", ["data.on_bad=raise", "data.on_bad=skip", "data.on_bad=substitute"]),
        ("data=npy data.pa", ["data.partition="]),
        ("data.pa", []),
        ("model.name=VGG", []),
        ("model=application model.name=VGG", ["model.name=VGG16", "model.name=VGG19"]),
        ("data.augment.f", ["data.augment.fill_mode=", "data.augment.flip="]),
        ("train.optimizer.name=sgd train.optimizer.nest", ["train.optimizer.nesterov="]),
        ("train.optimizer.name=lion train.optimizer.nest", []),
        ("loader.shuffle=", ["loader.shuffle=false", "loader.shuffle=true"]),
        ("seed=", []),
    ],
)
def test_words_are_completed(text, found, completed):
    assert completed(text) == found


def test_groups_and_keys_begin_an_empty_word(completed):
    found = completed("")
    assert {"data=", "data.", "seed=", "train.", "mode="} <= set(found)
    assert not {"seed.", "data.root=", "runs"} & set(found)


def test_folders_and_files_are_completed(completed, workplace):
    assert completed("data=directory data.root=pho") == ["data.root=photos/", "data.root=photoset/"]
    assert completed("data=directory data.root=photos/") == ["data.root=photos/a.yaml"]
    assert completed("data=directory data.root=nowhere/x") == []
