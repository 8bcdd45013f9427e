"""The user's ./conf: adds and overrides group files, and is named wherever it took part."""

from pathlib import Path

import pytest

from runner import compose
from runner.commands.prepare_sweep import prepare_sweep
from runner.config.jobs import prepare

MINE = "defaults: [sequence]\nworkers: 3\n"


def test_file_adds_a_choice(workplace):
    workplace(conf__loader__mine=MINE)
    assert compose(["loader=mine"]).loader.workers == 3
    assert compose(["loader=mine"]).loader.kind == "sequence"


def test_file_of_a_shipped_name_takes_its_place(workplace):
    workplace(conf__train__default="epochs: 2\n")
    assert compose().train.epochs == 2


def test_file_serves_sweeps(workplace):
    workplace(conf__loader__mine=MINE)
    sweep = prepare_sweep(["loader=mine,generator"])
    assert [job.settings.loader.workers for job in sweep.jobs] == [3, 4]


def test_new_group_can_be_chosen_without_a_plus(workplace):
    workplace(conf__experiment__small="# @package _global_\nseed: 9\ntrain:\n  epochs: 1\n")
    job = prepare(["experiment=small", "train.epochs=4"])
    assert (job.settings.seed, job.settings.train.epochs) == (9, 4)
    assert job.overrides == ("+experiment=small", "++train.epochs=4")
    assert job.plain_overrides == ("experiment=small", "train.epochs=4")


def test_foreign_files_that_took_part_are_named(workplace, tmp_path):
    workplace(conf__loader__mine=MINE, conf__loader__other=MINE, conf__train__default="epochs: 2\n")
    files = prepare(["loader=mine"]).foreign_files
    assert files == (tmp_path / "conf/loader/mine.yaml", tmp_path / "conf/train/default.yaml")


def test_settings_remember_what_composed_them(workplace):
    workplace(conf__loader__mine="defaults: [sequence]\n")
    settings, plain = compose(["loader=mine", "seed=5"]), compose(["seed=5"])
    assert settings.composed.overrides == ("loader=mine", "seed=5")
    assert [file.name for file in settings.composed.foreign_files] == ["mine.yaml"]
    assert settings == plain and "composed" not in str(settings.document())


def test_no_foreign_files_without_a_folder(workplace):
    assert prepare([]).foreign_files == ()


def test_our_own_folder_is_nobody_elses(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert prepare([]).foreign_files == ()


def test_primary_file_is_refused(workplace, problems):
    workplace(conf__config="seed: 3\n")
    (told,) = problems()
    assert told.startswith("conf/config.yaml must not exist: it would replace the runner's own; move its keys to")


GLOBAL = "# @package _global_\n"


def test_sweep_keys_of_a_file_count_in_sweeps(workplace):
    workplace(conf__experiment__wide=f"{GLOBAL}sweep:\n  jobs: 3\n  fail_fast: true\n")
    settings = prepare_sweep(["experiment=wide", "seed=0,1", "sweep.jobs=2"]).settings
    assert (settings.jobs, settings.fail_fast) == (2, True)
    assert prepare(["experiment=wide"]).notes == (
        "the keys of sweep in conf/experiment/wide.yaml have no effect without -m",
    )
    assert prepare([]).notes == ()


def test_sweep_keys_of_one_of_several_are_refused(workplace, problems):
    workplace(conf__experiment__wide=f"{GLOBAL}sweep:\n  jobs: 3\n", conf__experiment__plain=f"{GLOBAL}seed: 3\n")
    (problem,) = problems("experiment=wide,plain", sweep=True)
    assert problem.startswith("experiment=wide,plain must not list wide, whose file sets keys of sweep")


def test_wrong_sweep_key_of_a_file_is_named(workplace, problems):
    workplace(conf__experiment__wide=f"{GLOBAL}sweep:\n  jobs: many\n")
    assert "sweep.jobs must be a whole number of at least 1, or null, got 'many' (in conf/experiment/wide.yaml)" in (
        problems("experiment=wide", "seed=0,1", sweep=True)
    )


MARK = "\ufeff"


def test_byte_order_mark_is_no_part_of_a_file(workplace):
    workplace(conf__experiment__wide=f"{MARK}{GLOBAL}seed: 4\nsweep:\n  jobs: 3\n")
    workplace(conf__train__mine=f"{MARK}defaults: [default]\nepochs: 7\n")
    workplace(conf__train__yours=f"{MARK}# @package _global_.train\ndefaults: [mine]\nlearning_rate: 0.5\n")
    settings = compose(["experiment=wide", "train=yours"])
    assert (settings.seed, settings.train.epochs, settings.train.learning_rate) == (4, 7, 0.5)
    assert prepare_sweep(["experiment=wide", "seed=0,1"]).settings.jobs == 3


UNUSABLE = {
    "latin-1": (b"# @package _global_\nseed: 4 # \xe9\n", "must be UTF-8 text, got other bytes"),
    "no package": (b"seed: 4\n", "must begin with the line `# @package _global_`"),
}


@pytest.mark.parametrize(("content", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_experiment_is_named(workplace, problems, content, message):
    workplace(conf__experiment__odd="")
    Path("conf/experiment/odd.yaml").write_bytes(content)
    (problem,) = problems("experiment=odd")
    assert problem.startswith("conf/experiment/odd.yaml") and message in problem


def test_choice_of_a_file_is_explained(workplace, problems):
    workplace(conf__experiment__odd=f"{GLOBAL}defaults:\n  - override /model: mlpp\n")
    (problem,) = problems("experiment=odd")
    assert problem == (
        "model must be one of application, cnn, cnn3d, custom, mlp, unet, got 'mlpp'; did you mean 'mlp'? "
        "(in conf/experiment/odd.yaml)"
    )


def test_file_without_kind_hiding_ours_is_named(workplace, problems):
    workplace(conf__loader__sequence="workers: 9\n")
    (problem,) = problems()
    assert problem.startswith("conf/loader/sequence.yaml must name its kind, as it takes the place of the runner's own")


FORBIDDEN = "conf/train/mine.yaml must not configure Hydra; give keys of hydra on the command line"


@pytest.mark.parametrize(
    "text",
    [
        "# @package _global_\nhydra:\n  verbose: true\n",
        "# @package _global_\nhydra:\n  searchpath: [x]\n",
        "# @package hydra\nverbose: true\n",
        "# @package _global_\ndefaults:\n  - override /hydra/launcher: basic\n",
        "defaults:\n  - override /hydra/job_logging: default\n",
    ],
)
def test_file_that_configures_hydra_is_refused(text, workplace, problems):
    workplace(conf__train__mine=text)
    assert problems("train=mine") == [FORBIDDEN]


def test_included_hydra_file_is_refused(workplace, problems):
    workplace(conf__train__mine="# @package _global_\nhydra:\n  verbose: true\n", conf__train__top="defaults: [mine]\n")
    assert problems("train=top") == [FORBIDDEN]


def test_file_in_hydras_own_groups_is_refused(workplace, problems):
    workplace(conf__hydra__job_logging__none="root:\n  level: DEBUG\n")
    (told,) = problems()
    assert told == "conf/hydra/job_logging/none.yaml must not configure Hydra; give keys of hydra on the command line"


def test_bad_value_names_its_file(workplace, problems):
    workplace(conf__loader__mine="defaults: [sequence]\nworkers: x\nbatch_sise: 3\n")
    assert sorted(problems("loader=mine")) == [
        "loader.workers must be a whole number of at least 0, got 'x' (in conf/loader/mine.yaml)",
        "unknown key 'loader.batch_sise' for loader=sequence; did you mean 'loader.batch_size'? "
        "(in conf/loader/mine.yaml)",
    ]


def test_overridden_bad_value_names_no_file(workplace, problems):
    workplace(conf__loader__mine=MINE)
    assert problems("loader=mine", "loader.workers=x") == [
        "loader.workers must be a whole number of at least 0, got 'x'"
    ]


def test_last_file_that_sets_a_key_is_named(workplace, problems):
    workplace(
        conf__loader__mine="defaults: [sequence]\nworkers: x\n", conf__loader__top="defaults: [mine]\nworkers: y\n"
    )
    (told,) = problems("loader=top")
    assert told.endswith("got 'y' (in conf/loader/top.yaml)")


def test_wrong_top_level_key_names_its_file(workplace, problems):
    workplace(conf__train__mine="# @package _global_\nsead: 1\n")
    assert "unknown key 'sead'; did you mean 'seed'? (in conf/train/mine.yaml)" in problems("train=mine")


def test_mandatory_value_of_a_file_must_be_given(workplace, problems):
    workplace(conf__data__mine="kind: directory\nroot: ???\ntarget_size: [8, 8]\n")
    assert problems("data=mine") == ["data.root must be given: data.root=… (in conf/data/mine.yaml)"]


def test_file_without_a_kind_is_reported(workplace, problems):
    workplace(conf__loader__mine="workers: 3\n")
    (told,) = problems("loader=mine")
    assert told.startswith(
        "loader.kind must be one of auto, custom, directory_flow, generator, in_memory, sequence, got nothing"
    )


def test_unknown_kind_checks_nearest_kinds_keys(workplace, problems):
    workplace(conf__loader__mine="kind: genarator\nbatch_size: 0\n")
    told = problems("loader=mine")
    assert told[0].endswith("got 'genarator'; did you mean 'generator'? (in conf/loader/mine.yaml)")
    assert told[1].startswith("loader.batch_size must be a whole number of at least 1, got 0")


def test_bad_interpolation_names_its_file(workplace, problems):
    workplace(conf__loader__mine="defaults: [sequence]\nworkers: ${nope}\n")
    assert problems("loader=mine") == [
        "loader.workers must be a value that can be resolved, got '${nope}': Interpolation key 'nope' not found "
        "(in conf/loader/mine.yaml)"
    ]


TORN = {
    "a: [1,\nb: 2\n": "line 3: expected ',' or ']', but got '<stream end>'",
    "a: 1\na: 2\n": "line 2: found duplicate key a (while constructing a mapping that begins in line 1)",
    "- 1\n": "must hold keys with values, got a list",
    "3\n": "Invalid loaded object type: int",
    "workers: ${b\n": "workers: no viable alternative at input '${b'",
}


@pytest.mark.parametrize("text", TORN)
def test_broken_file_does_not_hide_others(text, workplace, problems):
    workplace(conf__loader__mine=text)
    first, second = problems("loader=mine", "seed=x")
    assert first.startswith("conf/loader/mine.yaml")
    assert TORN[text] in first
    assert second.startswith("seed must be")


def test_binary_file_is_reported(workplace, problems):
    workplace(conf__loader__mine="")
    Path("conf/loader/mine.yaml").write_bytes(b"\xff\xfe\x00")
    assert problems("loader=mine") == ["conf/loader/mine.yaml: must be UTF-8 text, got other bytes"]


def test_unknown_include_is_reported(workplace, problems):
    workplace(conf__loader__mine="defaults: [sequense]\n")
    assert problems("loader=mine") == ["In 'loader/mine': Could not load 'loader/sequense'."]


def test_include_cycle_is_reported(workplace, problems):
    workplace(conf__loader__mine="# @package _global_\ndefaults:\n  - /loader: sequence\n")
    (told,) = problems("loader=mine")
    assert "include each other" in told
