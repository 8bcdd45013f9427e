"""`debug`: what each mode makes of a configuration, and what it says of a run."""

import json
import pstats

import numpy as np
import pytest

from runner import compose
from runner.errors import ConfigurationError
from runner.modes.debug import debug_lines, debugged
from runner.modes.run import run

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

MLP = ["model=mlp", "model.hidden_units=[64]", "loader.workers=1"]
SGD = "train.optimizer.name=sgd"


@pytest.fixture
def arrays(tmp_path):
    """A file of 16 samples of 5 numbers, whose labels are given; random inputs unless given."""

    def write(y, x=None):
        x = np.random.default_rng(0).normal(size=(16, 5)) if x is None else x
        np.savez(
            tmp_path / "a.npz", x=np.asarray(x, np.float32), y=np.asarray(y), x_validation=x[:4], y_validation=y[:4]
        )
        return ["data=arrays", f"data.path={tmp_path / 'a.npz'}", *MLP, "debug=overfit"]

    return write


def test_no_debug_changes_nothing():
    config = compose()
    assert debugged(config) is config and list(debug_lines(config, config)) == []


def test_fast_is_one_batch_and_one_epoch():
    config = debugged(compose(["debug=fast", "train.epochs=500", "train.steps_per_epoch=70", "loader.batch_size=8"]))
    assert (config.mode, config.data.limit) == ("run", 8)
    assert (config.train.epochs, config.train.steps_per_epoch) == (1, None)


def test_a_lower_limit_stays():
    assert debugged(compose(["debug=profile", "data.limit=5"])).data.limit == 5


def test_overfit_leaves_chance_out():
    keys = ["data.augment.flip=horizontal", "train.early_stopping.patience=1", "loader.balance=classes"]
    asked = compose(["debug=overfit", *keys])
    config = debugged(asked)
    assert config.loader.balance is None
    assert config.data.augment == compose().data.augment and config.train.early_stopping is None
    assert (config.mode, config.model.dropout, config.data.limit) == ("fit", 0.0, 32)
    assert (config.train.epochs, config.train.steps_per_epoch) == (20, 50)
    told = [text for _, text in debug_lines(asked, config)]
    assert told[0] == "overfit: a trial run with these changes"
    assert {"data.augment.flip changed from horizontal to null", "model.dropout changed from 0.3 to 0.0"} < set(told)


@pytest.mark.parametrize("other", ["mode=check", "resume=."])
def test_debug_goes_with_training_from_the_start(other, monkeypatch):
    from runner.settings import Settings

    key, value = other.split("=")
    document = compose(["debug=fast"]).document() | {key: value}
    with pytest.raises(ValueError, match=f"debug must go with a run that trains from the start, got {key}"):
        Settings.model_validate_json(json.dumps(document))


def test_unknown_debug_is_refused():
    expected = "debug must be one of fast, overfit, profile, null, got 'fats'; did you mean 'fast'"
    with pytest.raises(ConfigurationError, match=expected):
        compose(["debug=fats"])


@pytest.mark.parametrize("extra", [[], ["train.class_weight=balanced", "loader=in_memory"]])
def test_fast_goes_through_everything(digits_root, folder, capsys, extra):
    asked = compose([f"data.root={digits_root}", *MLP, "debug=fast", "loader.batch_size=16", *extra])
    document = run(asked, folder=folder).document
    assert document["debug"]["mode"] == "fast"
    assert "train.epochs changed from 20 to 1" in document["debug"]["changed"]
    assert (document["results"]["fit"]["steps"], document["results"]["fit"]["samples_seen"]) == (1, 16)
    assert len((folder / "predictions.csv").read_text().splitlines()) == 1 + 16
    assert (folder / "model.keras").exists() and (folder / "report.html").exists()
    assert "debug     fast: a trial run with these changes\n" in capsys.readouterr().out


@pytest.fixture
def few_epochs(monkeypatch):
    """Training on one batch gives up after 50 steps."""
    monkeypatch.setattr("runner.modes.debug.OVERFIT_EPOCHS", 1)


def test_overfit_says_that_the_model_can(traced, arrays, folder, capsys):
    asked = compose([*arrays(np.arange(16) % 3), "train.learning_rate=0.03"])
    overfit = run(asked, folder=folder).document["results"]["overfit"]
    assert overfit["succeeded"] and overfit["last_loss"] <= 0.01 * overfit["first_loss"]
    assert 0 < overfit["steps"] < 1000 and overfit["steps"] % 50 == 0
    assert "overfit   the model can memorise one batch of 16 samples: loss " in capsys.readouterr().out


def test_overfit_names_a_low_learning_rate(traced, arrays, folder, few_epochs):
    asked = compose([*arrays(np.arange(16) % 3), "train.learning_rate=0.0000001", SGD])
    overfit = run(asked, folder=folder).document["results"]["overfit"]
    assert (overfit["succeeded"], overfit["steps"]) == (False, 50)
    assert overfit["told"][0].startswith("the model cannot memorise one batch of 16 samples")
    assert overfit["told"][1] == "the loss hardly fell: train.learning_rate (1e-07) may be too low or too high"


def test_overfit_names_a_constant_raw_input(traced, arrays, folder, few_epochs):
    x = np.full((16, 5), 900.0)
    told = run(compose([*arrays(np.arange(16) % 2, x), SGD]), folder=folder).document["results"]["overfit"]["told"]
    assert told[1] == "all samples of the batch are the same, so their labels cannot be learned; check the data"
    assert told[2].startswith("input values reach 900: scale them to about 1")


def test_profile_writes_a_file_that_pstats_reads(traced, digits_root, folder, capsys):
    asked = compose([f"data.root={digits_root}", *MLP, "debug=profile", "loader.batch_size=2", SGD])
    record = run(asked, folder=folder)
    assert record.document["results"]["fit"]["steps"] == 100
    names = {name for _, _, name in pstats.Stats(str(folder / "profile.pstats")).stats}
    # cProfile of Python 3.13.0 loses the callers of functions that unwind, `fit` among them.
    assert {"_end_epoch", "read_ahead"} <= names
    told = capsys.readouterr().out
    assert f"s in the training thread, by package and function: {folder / 'profile.pstats'}\n" in told
    assert "  tensorflow\n" in told and "  runner\n" in told
