"""All problems of a configuration are reported at once, each with its remedy."""

import re
from pathlib import Path

import pytest

from runner import compose
from runner.errors import ConfigurationError


def test_all_problems_are_reported_at_once(problems):
    told = problems("loader.batch_sise=8", "loader.workers=x", "data.class_mode=bianry", "train.epochs=-2")
    assert sorted(told) == [
        "data.class_mode must be one of categorical, sparse, binary, input, null, got 'bianry'; did you mean 'binary'?",
        "loader.workers must be a whole number of at least 0, got 'x'",
        "train.epochs must be a whole number of at least 1, got -2",
        "unknown key 'loader.batch_sise' for loader=sequence; did you mean 'loader.batch_size'?",
    ]


ONE_PROBLEM = {
    "lodaer=sequence": "unknown key 'lodaer'; did you mean 'loader'?",
    "loader=sequense": "loader must be one of auto, custom, directory_flow, generator, in_memory, sequence, got "
    "'sequense'; did you mean 'sequence'?",
    "train=none": "train must be one of default, got 'none'",
    "loader=null": "loader must be one of auto, custom, directory_flow, generator, in_memory, sequence, got null",
    "loader={kind: sequence}": "loader must be one of auto, custom, directory_flow, generator, in_memory, sequence, "
    "got {kind: 'sequence'}",
    "~loader": "loader must not be removed; choose one of auto, custom, directory_flow, generator, in_memory, sequence",
    "sead=1": "unknown key 'sead'; did you mean 'seed'?",
    "zzz=1": "unknown key 'zzz'",
    "lr=0.1": "unknown key 'lr'; did you mean 'train.learning_rate'?",
    "epochs=3": "unknown key 'epochs'; did you mean 'train.epochs'?",
    "optimizer=sgd": "unknown key 'optimizer'; did you mean 'train.optimizer'?",
    "num_workers=2": "unknown key 'num_workers'; did you mean 'loader.workers'?",
    "train.lr=0.1": "unknown key 'train.lr' for train; did you mean 'train.learning_rate'?",
    "loader.num_workers=2": "unknown key 'loader.num_workers' for loader=sequence; did you mean 'loader.workers'?",
    "model.optimizer=sgd": "unknown key 'model.optimizer' for model=cnn; did you mean 'train.optimizer'?",
    "seed=-1": "seed must be a whole number of at least 0 and below 4294967296, got -1",
    "train.early_stopping.patiense=3": "unknown key 'train.early_stopping.patiense' for train.early_stopping; "
    "did you mean 'train.early_stopping.patience'?",
    "train.batch_size=8": "unknown key 'train.batch_size' for train; did you mean 'loader.batch_size'?",
    "train.cooldown=8": "unknown key 'train.cooldown' for train; did you mean 'train.reduce_lr_on_plateau.cooldown'?",
    "model.hidden_units=[3]": "unknown key 'model.hidden_units' for model=cnn; it belongs to model=mlp",
    "model.zzz=3": "unknown key 'model.zzz' for model=cnn; its keys are filters, dense_units, dropout",
    "loader.kind=generator": "loader.kind must not be changed without its file, got 'generator'; use loader=generator",
    "loader.kind=generater": "loader.kind must not be changed without its file, got 'generater'; "
    "did you mean 'loader=generator'?",
    "data.target_size=[8,x]": "data.target_size must be a list of 2 whole numbers of at least 1, got [8, 'x']",
    "model.filters=[]": "model.filters must be a list of 1 or more whole numbers of at least 1, got []",
    "loader.workers=2.0": "loader.workers must be a whole number of at least 0, got 2.0",
    "loader.workers='2'": "loader.workers must be a whole number of at least 0, got '2'",
    "loader.workers=true": "loader.workers must be a whole number of at least 0, got true",
    "model.dropout=1": "model.dropout must be a number of at least 0 and below 1, got 1",
    "loader.timeout_seconds=0": "loader.timeout_seconds must be a number above 0, got 0",
    "name=' a'": "name must be text of 1 to 100 characters without space around it, or null, got ' a'",
    "tags=['']": "tags must be a list of texts of 1 to 100 characters without space around them, got ['']",
    "train.optimizer.name=adm": "train.optimizer.name must be one of adadelta, adafactor, adagrad, adam, adamax, "
    "adamw, custom, ftrl, lamb, lion, muon, nadam, rmsprop, sgd, got 'adm'; did you mean 'adam'?",
    "data.root=3": "data.root must be a folder, got 3; quotes make it text: \"data.root='3'\"",
    "data.limit=0": "data.limit must be a whole number of at least 1, or null, got 0",
    "data.augment.flip=both": "data.augment.flip must be one of horizontal, vertical, horizontal_and_vertical, null, "
    "got 'both'",
    "data.augment.rotate=0.1": "unknown key 'data.augment.rotate' for data.augment; "
    "did you mean 'data.augment.rotation'?",
    "data.augment.horizontal_flip=true": "unknown key 'data.augment.horizontal_flip' for data.augment; "
    "did you mean 'data.augment.flip'?",
    "data.augment.crop=[8]": "data.augment.crop must be a list of 2 whole numbers of at least 1, or null, got [8]",
    "data.augment.crop=[8,9]": "data.augment.crop must be at most data.target_size=[8, 8], the size of an image, "
    "got [8, 9]; raise data.target_size",
    "predict.original_size=true": "predict.original_size needs data=directory or data=dataframe, whose image files "
    "have a size of their own, got data=digits; set predict.original_size=false",
    "data.transform=mine.f": "data.transform must be in a module that extensions lists, written "
    "my_module.f; got 'mine.f' with extensions=[]; add 'extensions=[mine]'",
    "seed=${nope}": "seed must be a value that can be resolved, got '${nope}': Interpolation key 'nope' not found",
    "model.filters.7=3": "model.filters.7=3 cannot be set: list index out of range",
    "model@x=cnn": "model@x=cnn must not contain @: a file of a group always sets the keys of that group",
    "~train.zzz": "train.zzz cannot be removed: no file sets it, so it has its default already",
    "~train.epochs=3": "~train.epochs=3 must name the key's present value, 20, or no value: ~train.epochs",
    "fit": "'fit' must be key=value, group=choice or a flag; did you mean 'mode=fit'?",
    "exampels": "'exampels' must be key=value, group=choice or a flag; did you mean 'examples'?",
    "photos": "'photos' must be key=value, group=choice or a flag; a value with spaces needs quotes, and --help lists "
    "all keys",
    "loader.shuffle='yes'": "loader.shuffle must be true or false, got 'yes'; did you mean true?",
    "data.classes=None": "data.classes must be a list of texts, or null, got 'None'; did you mean null?",
    "data.classes=cat": "data.classes must be a list of texts, or null, got 'cat'; write 'data.classes=[cat]'",
    "data.target_size=8": "data.target_size must be a list of 2 whole numbers of at least 1, got 8; "
    "write 'data.target_size=[8, 8]'",
    "data.dir=x": "unknown key 'data.dir' for data=digits; did you mean 'data.root'?",
    "train.early_stopping=3": "train.early_stopping must be a group of keys (patience, min_delta, "
    "restore_best_weights), or null, got 3; set its keys one by one, as in train.early_stopping.patience=…",
    "data.folder=x": "unknown key 'data.folder' for data=digits; did you mean 'data.root'?",
    "mode=train": "mode must be one of run, fit, evaluate, predict, export, check, bench, pack, got 'train'; "
    "did you mean fit?",
    "train.learning_rate=cosine": "train.learning_rate must be a number above 0, or a group of keys with a name, got "
    "'cosine'; did you mean 'train.learning_rate.name=cosine_decay'?",
    "=3": "'=3' must begin with a key, key=value",
    "hydra.run.dir=x": "hydra.run.dir must not be set: each run makes a new folder in outputs/runs",
    "hydra/launcher=joblib": "hydra/launcher must not be set: each job runs in its own process, and "
    "sweep.jobs sets how many run at once",
    "hydra.vrbose=1": "hydra.vrbose: Key 'vrbose' not in 'HydraConf'",
    "loader.workers=1,2": "loader.workers=1,2 lists several values, which needs -m; for one list write "
    "'loader.workers=[1,2]', for one text with commas \"loader.workers='1,2'\"",
    "seed=range(1,3)": "seed=range(1,3) lists several values, which needs -m",
    "note=day(1)": "note=day(1) is read as a function of Hydra's, which fails: Unknown function 'day'; put text with "
    "brackets into quotes within quotes: \"note='…'\"",
}


@pytest.mark.parametrize("override", ONE_PROBLEM)
def test_problem_suggests_a_fix(override, problems):
    assert problems(override) == [ONE_PROBLEM[override]]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["data=npy", "data.root=.", "data.class_mode=null"], "got data=npy; set"),
        (["data=none", "loader=custom", "loader.target=m.f", "extensions=[m]"], "got data=none; set"),
        (["mode=fit"], "got data=digits; set"),
        (["mode=check"], ""),
        (["data=directory", "data.root=.", "data.class_mode=mask", "data.masks=."], ""),
    ],
)
def test_only_files_have_an_original_size(overrides, told, problems):
    found = [problem for problem in problems(*overrides, "predict.original_size=true") if "original_size" in problem]
    assert len(found) == bool(told)
    assert told in "".join(found)


def test_bad_override_does_not_hide_others(problems):
    first, second = problems("loader.batch_size=[1,", "seed=x")
    assert first.startswith("loader.batch_size=[1, cannot be read (no viable alternative at input '[1,'); close all")
    assert second.startswith("seed must be a whole number")


def test_unreadable_value_is_not_missing_as_well(problems):
    (told,) = problems("data=directory", "data.root=cats & dogs")
    assert told.startswith("data.root=cats & dogs cannot be read; close all brackets")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("data.root=~/photos", "into quotes within quotes: \"data.root='~/photos'\""),
        ("data.root=it's", "into quotes within quotes: \"data.root='…'\""),
        ("data.root = photos", "leave out the spaces around =: data.root=photos"),
        ("data.target_size=(8,8)", "a list has square brackets: 'data.target_size=[8,8]'"),
    ],
)
def test_unreadable_value_shows_how_to_write_it(text, fix, problems):
    (told,) = problems("data=directory", "data.root=.", text)
    assert told.startswith(f"{text} cannot be read; ")
    assert told.endswith(fix)


def test_form_of_masks_is_shown_by_an_example(problems):
    told = problems("data=directory", "data.root=.", "data.mask_values={ground: 0}", "data.mask_colors={a: red}")
    assert [text.partition("; ")[2] for text in told] == [
        "for example 'data.mask_values={0: background, 255: cat}'",
        "for example 'data.mask_colors={road: [128, 64, 128]}'",
    ]


def test_missing_mandatory_value_is_reported(problems):
    assert problems("data=directory") == ["data.root must be given, a folder: data.root=…"]


def test_keys_of_the_nearest_choice_are_checked(problems):
    told = problems("model=mpl", "model.hidden_unit=[3]")
    assert told[0].endswith("got 'mpl'; did you mean 'mlp'?")
    assert told[1] == "unknown key 'model.hidden_unit' for model=mlp; did you mean 'model.hidden_units'?"


def test_field_conflict_joins_bad_fields(problems):
    told = problems("data.antialias=false", "data.decode=exact", "data.class_mode=x", "seed=x")
    assert any(problem.startswith("data.antialias=false must go with decode=fast") for problem in told)
    assert len(told) == 3


def test_component_conflict_joins_bad_fields(problems):
    told = problems("data=arrays", "loader=directory_flow", "train.epochs=x", "data.validation_split=2")
    assert told[-1].startswith("loader=directory_flow must read from files, got data=arrays")
    assert "data.path must be given, a file: data.path=…" in told
    assert len(told) == 4


def test_mending_invents_no_problem(problems):
    told = problems("train.learning_rate.name=piecewise_constant_decay")
    assert all("must be given" in problem for problem in told)


def test_plus_typed_by_habit_works(workplace):
    assert compose(["+train.epochs=3", "++seed=4", "+loader=generator"]).train.epochs == 3


def test_deleted_key_takes_schema_default(workplace):
    assert compose(["~train.epochs"]).train.epochs == 10


def test_compose_raises_every_problem(workplace):
    with pytest.raises(ConfigurationError, match=r"unknown key 'sead'.*\nloader.workers must be"):
        compose(["sead=1", "loader.workers=x"])


@pytest.mark.parametrize("given", ["seed=1", None, {"seed": 1}, [1], ["seed=1", ("mode", "fit")]])
def test_compose_takes_a_list_of_texts(given):
    with pytest.raises(ConfigurationError, match=f"overrides must be a list of texts, .* got {re.escape(repr(given))}"):
        compose(given)


def test_values_may_refer_to_each_other(workplace):
    assert compose(["seed=7", "data.split_seed=${seed}"]).data.split_seed == 7


def test_compose_keeps_an_outer_hydra_app(workplace):
    from hydra import initialize
    from hydra.core.global_hydra import GlobalHydra

    with initialize(version_base="1.3"):
        before = GlobalHydra.instance().hydra
        compose()
        assert GlobalHydra.instance().hydra is before


@pytest.mark.parametrize(
    ("override", "end"),
    [
        ("data.classes=[0,1]", """got [0, 1]; quotes make it text: "data.classes=['0','1']\""""),
        ("data.classes=[a,true]", """got ['a', true]; quotes make it text: "data.classes=['a','true']\""""),
        ("data.transform=3", """got 3; quotes make it text: "data.transform='3'\""""),
        ("data.classes=3", "got 3"),
    ],
)
def test_numbers_for_text_get_quotes(problems, override, end):
    (told,) = problems(override)
    assert told.endswith(end)


def test_infinite_number_is_refused(problems):
    (told,) = problems("train.learning_rate=inf")
    assert told.startswith("train.learning_rate must be a number above 0, or a group of keys with a name, got")


@pytest.mark.parametrize(
    "keys",
    [
        ["data=dataframe", "data.manifest=m.csv", "data.class_mode={val_x: binary, x: sparse}"],
        ["data=dataframe", "data.manifest=m.csv", "data.class_mode=sparse", "data.label_columns=[val_x,x]"],
        ["data=custom", "data.target=m.Source", "data.class_mode={val_x: binary, x: sparse}", "extensions=[m]"],
    ],
)
def test_outputs_of_one_column_are_refused_early(keys, problems, workplace):
    Path("m.csv").write_text("")
    Path("m.py").write_text("class Source: pass\n")
    (problem,) = problems(*keys)
    assert problem.startswith("outputs must have names whose metrics differ, got val_x, with the metric val_x_loss")
    assert problems("mode=check", *keys) == []
