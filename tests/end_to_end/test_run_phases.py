"""Runs in phases: what they leave, what is shown of them, and how each augments."""

from types import SimpleNamespace

import pytest

from runner import build_loader, compose
from runner.errors import ConfigurationError, DataError
from runner.loaders.blend import PhaseAugmentation
from runner.modes.debug import debugged
from runner.modes.open_data import open_dataset
from runner.modes.phases import phase_augmentations
from runner.modes.resume import fewer_epochs
from runner.modes.run import run
from runner.records.metrics import read_metrics
from runner.records.run_folder import RunFolder, read_run
from runner.reports.charts import learning_curves
from runner.reports.overview import facts
from runner.runs.__main__ import execute

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

PHASES = "train.phases=[{epochs: 1, trainable: false}, {epochs: 2, learning_rate: 0.01, augment: {flip: horizontal}}]"
QUICK = ["mode=fit", "data.limit=60", "data.target_size=[8,8]", "model=mlp", "model.hidden_units=[4]"]


@pytest.fixture(scope="module")
def folder(digits_root, tmp_path_factory, eager):
    path = tmp_path_factory.mktemp("phases")
    run(compose([f"data.root={digits_root}", *QUICK, PHASES]), folder=path)
    return path


def test_run_records_its_phases(folder):
    network = read_run(folder)["network"]
    assert [row["phase"] for row in read_metrics(folder)] == [1, 2, 2]
    assert network["phases"] == [
        {"phase": 1, "first_epoch": 1, "trainable_weights": 50, "optimizer": "adam at 0.001"},
        {"phase": 2, "first_epoch": 2, "trainable_weights": 310, "optimizer": "adam at 0.01"},
    ]


def test_phases_are_shown_and_marked(folder, capsys):
    told = "1 from epoch 1: 50 weights, adam at 0.001"
    execute(["show", str(folder)])
    assert f"phases    {told}; 2 from epoch 2" in capsys.readouterr().out
    phases = dict(facts(RunFolder(folder), read_run(folder)))["phases"]
    assert phases.startswith(f"{told} · 2 from")
    curves = learning_curves(read_metrics(folder))
    assert list(curves.starts) == [2]
    assert all(chart.data["starts"] == [2] and 'class="phase-start"' in chart.svg for chart in curves.charts)


def test_completed_phases_are_not_resumed(folder):
    with pytest.raises(ConfigurationError, match="give train.phases with one more after its 2 phases"):
        run(compose([f"resume={folder}"]))
    fewer = fewer_epochs(RunFolder(folder), 4, compose(["train.phases=[{epochs: 1},{epochs: 2}]"]).train)
    assert fewer.startswith("the epochs of train.phases must add up to at least 4, as ") and ", got 3; " in fewer


def test_each_phase_augments_in_its_own_way(digits_root):
    config = compose([f"data.root={digits_root}", *QUICK, PHASES])
    with build_loader(config) as loader:
        place = SimpleNamespace(place=SimpleNamespace(number=1))
        first, second = phase_augmentations(config, open_dataset(config), loader, place)
        assert first == PhaseAugmentation(())
        assert [one.settings.flip for one in second.transforms] == ["horizontal"]
        assert loader.reader.transforms == second.transforms


def test_phase_that_does_not_fit_the_data_is_named(digits_root, tmp_path):
    wrong = "train.phases=[{epochs: 1}, {epochs: 1, augment: {grayscale: 0.3}}]"
    with pytest.raises(DataError, match=r"^in train.phases\[1\], data.augment.grayscale needs images of 3 channels"):
        run(compose([f"data.root={digits_root}", *QUICK, wrong]), folder=tmp_path)


@pytest.mark.parametrize(("mode", "epochs"), [("fast", [1, 1]), ("profile", [1]), ("overfit", [])])
def test_debug_shortens_the_phases(digits_root, mode, epochs):
    train = debugged(compose([f"data.root={digits_root}", PHASES, f"debug={mode}"])).train
    assert [phase.epochs for phase in train.phases] == epochs
    assert train.epochs == (sum(epochs) or 20)
