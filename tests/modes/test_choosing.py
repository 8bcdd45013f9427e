"""`loader=auto`, carried out: what a look at the data changes, and what it does not."""

import json
from pathlib import Path

import pytest

from runner import compose
from runner.loaders.auto import Choice
from runner.loaders.kinds import InMemory, Sequence
from runner.loaders.throughput import Measurement, Readers, Scaling, Throughput
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import choose_loader
from runner.modes.run import run
from runner.records.metrics import TIMING
from tests.support.clocks import VirtualTime

pytestmark = pytest.mark.usefixtures("empty_pages", "forked_workers")  # no test here looks at one

FREE, LITTLE = 10**9, 150_000
ONE, THREE, PROCESSES = Readers(1), Readers(3), Readers(3, processes=True)


@pytest.fixture(autouse=True)
def three_processors(monkeypatch):
    monkeypatch.setattr("runner.loaders.auto.num_processors", lambda: 3)


@pytest.fixture
def choose(digits_root):
    """The loader for the digits, typed as these overrides say."""

    def chosen(*overrides, free=FREE, splits=("train",)):
        config = compose([f"data.root={digits_root}", "loader=auto", "loader.batch_size=4", *overrides])
        return choose_loader(config, open_dataset(config), splits, free)

    return chosen


@pytest.fixture
def saw(monkeypatch):
    """Makes looks come to these samples a second, and lists what was to be looked at."""

    def seeing(**speeds):
        asked, paces = [], {name: Throughput(speed, 1.0, 1.0) for name, speed in speeds.items()}

        def measure(open_loader, workers, *, processes):
            with open_loader(Readers(workers), 2) as loader:
                asked.append((workers, processes, len(loader.batch(0, 0)), bool(loader.reader.transforms)))
            named = {"one": Readers(1), "threads": Readers(workers), "processes": Readers(workers, processes=True)}
            return Scaling(tuple(Measurement(named[name], pace) for name, pace in paces.items()))

        monkeypatch.setattr("runner.modes.pipeline.measure_scaling", measure)
        return asked

    return seeing


def test_loader_that_was_named_is_taken(choose, saw):
    asked = saw(one=100)
    assert choose("loader=sequence", "loader.workers=3") == Choice(Sequence(workers=3, batch_size=4))
    assert not asked


@pytest.mark.parametrize(("free", "kind"), [(FREE, InMemory), (LITTLE, Sequence)])
@pytest.mark.parametrize(
    ("speeds", "readers"),
    [
        ({"one": 100, "threads": 109}, ONE),
        ({"one": 100, "threads": 250}, THREE),
        ({"one": 100, "threads": 90, "processes": 250}, PROCESSES),
    ],
)
def test_fastest_workers_are_chosen_with_reason(choose, saw, free, kind, speeds, readers):
    asked = saw(**speeds)
    choice = choose(free=free)
    assert type(choice.settings) is kind
    assert Readers(choice.settings.workers, choice.settings.use_multiprocessing) == readers
    assert choice.reason.startswith("all samples need ")
    assert f"; 1 thread reads 100 samples/s, 3 threads {speeds['threads']}" in choice.reason
    assert asked == [(3, True, 2, False)]


@pytest.mark.parametrize("typed", [["loader.workers=0"], ["loader.workers=1"], ["loader.use_multiprocessing=true"]])
def test_fixed_choices_are_not_measured(choose, saw, typed):
    asked = saw(one=100)
    choice = choose(*typed, free=LITTLE)
    expected = {"loader.workers=0": 0, "loader.workers=1": 1}.get(typed[0], 3)
    assert choice.settings.workers == expected
    assert choice.reason.endswith("; 3 processes, one per processor") is (expected == 3)
    assert not choose("loader.workers=3", "loader.use_multiprocessing=false").settings.use_multiprocessing
    assert not asked


def test_requested_workers_limit_the_candidates(choose, saw):
    asked = saw(one=100, threads=70, processes=95)
    choice = choose("loader.workers=2")
    assert (choice.settings.workers, choice.settings.use_multiprocessing) == (2, True)
    assert asked == [(2, True, 2, False)]


def test_requested_threads_are_not_compared(choose, saw):
    asked = saw(one=100, threads=101)
    assert choose("loader.use_multiprocessing=false").settings.workers == 1
    assert asked == [(3, False, 2, False)]


def test_cached_transforms_use_all_workers(choose, saw):
    asked = saw(one=100, threads=100)
    assert choose("data.augment.flip=horizontal").settings.workers == 3
    assert choose("data.augment.flip=horizontal", free=LITTLE).settings.workers == 1
    assert [changed for *_, changed in asked] == [False, True]  # changing is no part of filling


def test_refused_loader_reads_nothing(choose, saw):
    asked = saw(one=100, threads=300)
    assert choose(free=100).settings.workers == 3
    assert not asked


def test_quickly_read_data_uses_a_thread_per_cpu(choose, monkeypatch):
    monkeypatch.setattr("runner.loaders.throughput.time", VirtualTime(tick=0.0005).module)
    choice = choose()
    assert choice.settings.workers == 3
    assert ("; 3 threads, one per processor, not measured: 1 thread reads all samples in 0." in choice.reason) and (
        choice.reason.endswith(" s")
    )
    assert "measured" not in choose("loader.workers=2").reason


def test_one_processor_leaves_nothing_to_measure(choose, saw, monkeypatch):
    monkeypatch.setattr("runner.loaders.auto.num_processors", lambda: 1)
    asked = saw(one=100)
    assert choose().reason.endswith("; 1 thread, one per processor")
    assert not asked


@pytest.fixture
def trained(digits_root, tmp_path, monkeypatch):
    """A run over some digits, in the folder of that name; its looks are short, and taken though the data is small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runner.loaders.throughput.WORTH_SECONDS", 0.0)
    monkeypatch.setattr("runner.loaders.throughput.MEASURE_SECONDS", 0.05)
    quick = [
        f"data.root={digits_root}",
        "data.limit=120",
        "model=mlp",
        "loader.batch_size=8",
        "train.optimizer.name=sgd",
    ]

    def train(name, *overrides, again=False):
        Path(name).mkdir()
        return run(compose([*overrides] if again else [*quick, *overrides]), folder=tmp_path / name).document

    return train


def test_auto_run_records_the_chosen_loader(trained):
    kept = ["train.epochs=1", "loader.cache=disk"]
    looked = trained("auto", "loader=auto", *kept, "loader.cache_dir=a")
    chosen = looked["loader"]
    assert " reads " in chosen.pop("reason") and chosen.pop("asked") == "auto"
    keys = [f"loader.{key}={json.dumps(chosen[key])}" for key in ("workers", "use_multiprocessing")]
    named = trained("named", f"loader={chosen['kind']}", *kept, *keys, "loader.cache_dir=b")
    assert _but_for_time(looked) == _but_for_time(named)
    for file in ("predictions.csv", *(f"contents/{file.name}" for file in Path("named/contents").iterdir())):
        assert Path("auto", file).read_bytes() == Path("named", file).read_bytes(), file
    tables = [[row.split(",") for row in Path(name, "metrics.csv").read_text().split()] for name in ("auto", "named")]
    timed = [number for number, title in enumerate(tables[0][0]) if title in TIMING]
    assert len(timed) == 3
    for ours, theirs in zip(*tables, strict=True):
        assert [value for number, value in enumerate(ours) if number not in timed] == [
            value for number, value in enumerate(theirs) if number not in timed
        ]


def _but_for_time(document):
    untold = ("process", "started", "finished", "argv", "overrides", "seconds", "loader", "changed")
    kept = {key: value for key, value in document.items() if key not in untold}
    for cost in ("wait", "cpu_seconds", "peak_memory_bytes"):
        del kept["results"]["fit"][cost]
    assert kept["data"]["cache"].pop("found") == 0  # nothing was put there by a look
    del kept["data"]["cache"]["folder"]
    return kept


def test_resume_and_rerun_choose_again_alike(trained, monkeypatch):
    first = trained("first", "loader=auto", "train.epochs=1", "mode=fit")
    monkeypatch.setattr("runner.loaders.auto.num_processors", lambda: 1)
    again = trained("again", "rerun=first", "verify=true", again=True)
    assert again["loader"]["workers"] == 1
    assert again["loader"]["reason"] != first["loader"]["reason"]
    assert again["digests"] == first["digests"]
    whole = trained("whole", "loader=sequence", "train.epochs=2", "mode=fit")
    resumed = run(compose(["resume=first", "train.epochs=2"])).document
    assert resumed["loader"]["workers"] == 1
    assert resumed["digests"] == whole["digests"]
