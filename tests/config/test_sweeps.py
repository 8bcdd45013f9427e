"""Sweeps: every job is checked before the first is started, and expanded as Hydra expands it."""

import pytest

from runner.commands.expand import expand
from runner.commands.prepare_sweep import prepare_sweep
from runner.config.files import open_library
from runner.config.overrides import for_hydra, parse

SEVERAL = ["loader=in_memory,generator", "train.epochs=3,4"]


def test_jobs_follow_hydras_order():
    sweep = prepare_sweep(SEVERAL)
    found = [(job.settings.loader.kind, job.settings.train.epochs) for job in sweep.jobs]
    assert found == [("in_memory", 3), ("in_memory", 4), ("generator", 3), ("generator", 4)]


def test_jobs_are_those_of_hydras_own_sweeper():
    # The sweeper is Hydra's to change: this is where a change of its order or its words would be noticed.
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    texts = [*SEVERAL, "seed=range(0,3)", "data.classes=['a b','c,d'],['x'],null", "~train.learning_rate"]
    with open_library() as library:
        parsed = OverridesParser.create().parse_overrides(
            [for_hydra(override, library) for override in parse(texts, library)[0]]
        )
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    assert expand(parsed) == list(map(tuple, batch))
    assert [job.overrides for job in prepare_sweep(texts).jobs] == list(map(tuple, batch))


def test_repeated_key_counts_once(workplace):
    sweep = prepare_sweep(["seed=1,2", "seed=3"])
    assert [job.settings.seed for job in sweep.jobs] == [3]


def test_choices_can_be_swept_by_pattern(workplace):
    sweep = prepare_sweep(["loader=glob(*e*,exclude=*r*y*)"])
    assert [job.settings.loader.kind for job in sweep.jobs] == ["generator", "sequence"]


def test_one_combination_is_a_sweep_of_one(workplace):
    assert len(prepare_sweep(["seed=3"]).jobs) == 1


def test_problem_of_all_jobs_is_reported_once(problems):
    assert problems(*SEVERAL, "loader.workers=x", sweep=True) == [
        "loader.workers must be a whole number of at least 0, got 'x'"
    ]


def test_problem_names_the_first_affected_job(problems):
    assert problems("loader=in_memory,generator", "train.epochs=3,-1", sweep=True) == [
        "train.epochs must be a whole number of at least 1, got -1 (job 1 and 1 more: loader=in_memory train.epochs=-1)"
    ]


def test_problems_of_several_jobs_are_joined(problems):
    told = problems("loader=sequense,generator", "seed=-1,1", "train.epochs=x", sweep=True)
    assert len(told) == 3
    assert told[0].endswith("did you mean 'sequence'? (job 0 and 1 more: loader=sequense seed=-1 train.epochs=x)")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.verbose=true,false", "hydra.verbose=true,false must be one value: keys of Hydra's cannot be swept"),
        (
            "seed=interval(0,1)",
            "seed=interval(0,1) must list its values, as in seed=1,2,3; to search a range add sweep.search=random",
        ),
        *(
            (
                empty,
                f"{empty} must hold at least one value, got none; range(1,4) is 1,2,3, and range(4,1,-1) is 4,3,2",
            )
            for empty in ("seed=range(2,2)", "seed=shuffle(range(2,1))", "data.scale=range(0.1,0.3,-0.1)")
        ),
        ("seed=range(1,4,0)", "seed=range(1,4,0) must have a step other than 0"),
        ("data.scale=range(0.1,0.4,0.0)", "data.scale=range(0.1,0.4,0.0) must have a step other than 0"),
        (
            "loader=glob(x*)",
            "loader=glob(x*) must hold at least one value, got none; its choices are auto, custom, directory_flow, "
            "generator, in_memory, sequence",
        ),
        (
            "seed=glob(*)",
            "seed=glob(*) must hold at least one value, got none; glob is for groups of files, as loader=glob(*)",
        ),
    ],
)
def test_unsweepable_keys_are_refused(override, message, problems):
    assert problems(override, sweep=True) == [message]


def test_same_choices_are_composed_once(workplace, monkeypatch):
    from runner.config.files import Library

    composed = []
    original = Library._compose
    monkeypatch.setattr(Library, "_compose", lambda self, key: composed.append(key) or original(self, key))
    prepare_sweep(["loader=in_memory,generator", "seed=range(0,10)"])
    assert composed == [["loader=in_memory"], ["loader=generator"]]


def test_paired_keys_vary_together():
    sweep = prepare_sweep(
        ["sweep.paired=[[train.epochs,seed]]", "train.epochs=3,4", "loader.batch_size=8,16", "seed=range(5,7)"]
    )
    found = [(job.settings.train.epochs, job.settings.seed, job.settings.loader.batch_size) for job in sweep.jobs]
    assert found == [(3, 5, 8), (3, 5, 16), (4, 6, 8), (4, 6, 16)]
    assert sweep.varied == ("train.epochs", "loader.batch_size", "seed")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["seed=1,2,3", "train.epochs=3,4"],
            "sweep.paired must pair keys with equally many values, got 3 of seed and 2 of train.epochs; "
            "list as many of each",
        ),
        (
            ["seed=1,2"],
            "sweep.paired must name keys that list values, got train.epochs; add train.epochs=VALUE,VALUE or leave it "
            "out",
        ),
    ],
)
def test_invalid_pairs_are_reported(overrides, message, problems):
    assert problems("sweep.paired=[[seed,train.epochs]]", *overrides, sweep=True) == [message]


def test_key_in_two_pairs_is_reported(problems):
    told = problems("sweep.paired=[[seed,train.epochs],[seed,loader]]", "seed=1,2", "train.epochs=3,4",
                    "loader=sequence,generator", sweep=True)  # fmt: skip
    assert told == ["sweep.paired must name each key once, got seed 2 times; leave it in one pair"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sweep.jobs=1,2", "sweep.jobs=1,2 must be one value: it applies to all jobs of the sweep"),
        ("sweep.jbs=2", "unknown key 'sweep.jbs' for sweep; did you mean 'sweep.jobs'?"),
        ("sweep.jobs=0", "sweep.jobs must be a whole number of at least 1, or null, got 0"),
        ("sweep.paired=[[seed]]", "sweep.paired must be a list of lists of 2 or more texts, got [['seed']]"),
        (
            "sweep.objective=f1",
            "sweep.goal must be min or max for the objective f1, got null; add sweep.goal=min or sweep.goal=max",
        ),
        ("sweep.goal=max", "sweep.goal needs sweep.objective, got only goal=max; add sweep.objective=KEY"),
        ("resume=latest", "resume=latest resumes a single run; to resume a sweep give sweep.resume=SWEEP_DIR"),
    ],
)
def test_unknown_sweep_key_is_reported(override, message, problems):
    assert problems(override, "seed=1,2", sweep=True) == [message]


def test_keys_of_the_sweep_are_no_part_of_a_job(workplace):
    sweep = prepare_sweep(["seed=1,2", "sweep.jobs=3", "sweep.objective=val_accuracy"])
    assert sweep.settings.jobs == 3
    assert [job.plain_overrides for job in sweep.jobs] == [("seed=1",), ("seed=2",)]
    assert "sweep" not in sweep.jobs[0].settings.document()


def test_keys_of_the_sweep_need_a_sweep(problems):
    assert problems("sweep.jobs=2") == ["sweep.jobs=2 is for sweeps; add -m to start one, or leave it out"]


def test_sweep_resume_takes_only_run_settings(problems):
    assert problems("sweep.resume=outputs", "seed=1,2", "sweep.jobs=2", sweep=True) == [
        "seed must not go with sweep.resume: the jobs are configured already; leave it out"
    ]
