"""Sweeps: every job is checked before the first is started, and expanded as Hydra expands it."""

import pytest

from runner.config.jobs import prepare_sweep

SEVERAL = ["loader=in_memory,generator", "train.epochs=3,4"]


def test_jobs_are_all_combinations_in_hydras_order():
    sweep = prepare_sweep(SEVERAL)
    found = [(job.settings.loader.kind, job.settings.train.epochs) for job in sweep.jobs]
    assert found == [("in_memory", 3), ("in_memory", 4), ("generator", 3), ("generator", 4)]


def test_jobs_are_those_of_hydras_own_sweeper():
    # The sweeper is Hydra's to change: this is where a change of its order or its words would be noticed.
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    sweep = prepare_sweep(
        [*SEVERAL, "seed=range(0,3)", "data.classes=['a b','c,d'],['x'],null", "~train.learning_rate"]
    )
    parsed = OverridesParser.create().parse_overrides(list(sweep.overrides))
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    assert [job.overrides for job in sweep.jobs] == list(map(tuple, batch))


def test_repeated_key_counts_once(workplace):
    sweep = prepare_sweep(["seed=1,2", "seed=3"])
    assert [job.settings.seed for job in sweep.jobs] == [3]


def test_choices_can_be_swept_by_pattern(workplace):
    sweep = prepare_sweep(["loader=glob(*e*,exclude=*r*y*)"])
    assert [job.settings.loader.kind for job in sweep.jobs] == ["generator", "sequence"]


def test_one_combination_is_a_sweep_of_one(workplace):
    assert len(prepare_sweep(["seed=3"]).jobs) == 1


def test_problem_of_every_job_is_told_once(problems):
    assert problems(*SEVERAL, "loader.workers=x", sweep=True) == [
        "loader.workers must be a whole number of at least 0, got 'x'"
    ]


def test_problem_of_some_jobs_names_the_first_of_them(problems):
    assert problems("loader=in_memory,generator", "train.epochs=3,-1", sweep=True) == [
        "train.epochs must be a whole number of at least 1, got -1 (job 1 and 1 more: loader=in_memory train.epochs=-1)"
    ]


def test_problems_of_different_jobs_are_told_together(problems):
    told = problems("loader=sequense,generator", "seed=-1,1", "train.epochs=x", sweep=True)
    assert len(told) == 3
    assert told[0].endswith("did you mean sequence? (job 0 and 1 more: loader=sequense seed=-1 train.epochs=x)")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.verbose=true,false", "hydra.verbose=true,false must be one value: Hydra's own keys cannot be swept"),
        ("seed=interval(0,1)", "seed=interval(0,1) must list its values, as in seed=1,2,3"),
    ],
)
def test_what_cannot_be_swept_is_told(override, message, problems):
    assert problems(override, sweep=True) == [message]


def test_same_choices_are_composed_once(workplace, monkeypatch):
    from runner.config.library import Library

    composed = []
    original = Library._compose
    monkeypatch.setattr(Library, "_compose", lambda self, key: composed.append(key) or original(self, key))
    prepare_sweep(["loader=in_memory,generator", "seed=range(0,10)"])
    assert composed == [["loader=in_memory"], ["loader=generator"]]
