"""`--help`: two screens of 80 columns, and pages about a group, a key or a word."""

import pytest

from runner.__main__ import execute
from runner.config.help import help_text
from runner.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def page(monkeypatch):
    """What `--help` prints about these words in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: help_text(words, "")


def keys_of(text):
    """The keys that have an entry, in order."""
    return [line.split("=")[0].strip() for line in text.splitlines() if line[:3].strip() and "=" in line]


def test_help_fits_two_screens(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert execute(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 48 and max(map(len, lines)) <= 80
    assert "  --help stop                   keys whose name or meaning has a word" in lines


def test_help_names_groups_and_choices(page):
    assert "  loader     How they reach the model: auto, custom, directory_flow, generator,\n" in page()
    assert "             in_memory, [sequence]\n" in page()
    assert "  run        mode, from_run, resume," in page()


def test_group_shows_choices_and_their_keys(page):
    text = page("model")
    assert text.startswith("model: What is trained.\n  model=application       A well-known network without its top")
    assert "Needs model.name." in text and "\n* model=cnn " in text
    assert keys_of(text)[-3:] == ["model.filters", "model.dense_units", "model.dropout"]


def test_choices_come_with_values(page):
    text = page("model=mlp", "loader.workers=7", "loader", "model")
    assert "model.hidden_units=[128]" in text and "loader.workers=7" in text
    assert "model.filters" not in text and "train.epochs" not in text


@pytest.mark.parametrize(
    ("choice", "key"),
    [("data=dataframe", "data.manifest=…"), ("data=arrays", "data.path=…"), ("model=custom", "model.target=…")],
)
def test_keys_that_must_be_given_come_first(page, choice, key):
    assert f"\n  keys of {choice}\n  {key} " in page(choice)


def test_key_and_those_below_it_are_shown(page):
    assert keys_of(page("data.augment.zoom")) == ["data.augment.zoom"]
    assert keys_of(page("train.early_stopping")) == [
        "train.early_stopping",
        *(f"train.early_stopping.{name}" for name in ("patience", "min_delta", "restore_best_weights")),
    ]


def test_key_of_other_choices_says_of_which(page):
    text = " ".join(page("data.manifest").split())
    assert text.startswith("data.manifest=… ") and text.endswith("(only with data=dataframe)")
    assert "only with" not in page("data.manifest", "data=dataframe")
    assert "(only with train.optimizer.name=muon or sgd)" in " ".join(page("nesterov").split())


def test_word_finds_names_then_meanings(page):
    found = keys_of(page("STOP"))
    assert found[0] == "train.early_stopping" and "sweep.fail_fast" in found
    assert found.index("sweep.fail_fast") > found.index("train.early_stopping.min_delta")


def test_all_shows_every_chosen_key(page):
    found = set(keys_of(page("all")))
    assert {"seed", "data.limit", "loader.batch_size", "model.filters", "train.epochs", "pack.to"} <= found
    assert "  mode=run " in page("run")


def test_unknown_word_suggests_a_key(page, capsys):
    with pytest.raises(ConfigurationError, match=r"--help lerning_rate: no key .* did you mean 'learning_rate'\?"):
        page("lerning_rate")
    assert execute(["--help", "qqq"]) == 2
    assert capsys.readouterr().err.endswith("; --help alone lists the groups of keys\n")


def test_help_survives_mistakes(page):
    assert "loader.batch_size=32" in page("loader=sequense", "zzz=3", "[=", "data=directory", "loader")
