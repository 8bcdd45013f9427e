"""A configuration that starts from an earlier run: what of it is kept, what is replaced, what is said."""

import json
from pathlib import Path

import pytest
import yaml

from runner import compose
from runner.commands.prepare_sweep import prepare_sweep
from runner.config.help import help_text
from runner.config.jobs import prepare
from runner.records.config_yaml import write_config

RUN = "outputs/runs/2026-01-01_10-00-00_aaaaaa"
HEADS = [{"name": "", "mode": "sparse", "class_names": ["cat", "dog"]}]


@pytest.fixture
def earlier(workplace):
    """Leaves the folder of a run that was configured so; a model lies in it unless told otherwise."""

    def leave(*overrides, name=RUN, model="checkpoints/best.keras", document=None, changes=None):
        folder = Path(name)
        folder.mkdir(parents=True)
        write_config(folder, compose(overrides).document() | (changes or {}))
        facts = {"status": "completed", "stage": None, "data": {"heads": HEADS}, "from_run": {}}
        (folder / "run.json").write_text(json.dumps(facts | (document or {})))
        if model:
            (folder / model).parent.mkdir(exist_ok=True)
            (folder / model).touch()
        return folder

    return leave


def test_base_is_the_runs_configuration(earlier):
    earlier("loader=generator", "loader.batch_size=7", "seed=5", "data.target_size=[4,4]")
    config = compose(["mode=evaluate", f"from_run={RUN}"])
    assert (config.mode, config.from_run, config.seed) == ("evaluate", Path(RUN), 5)
    assert (config.loader.kind, config.loader.batch_size, config.data.target_size) == ("generator", 7, (4, 4))


def test_chosen_group_is_composed_afresh(earlier):
    earlier("loader=generator", "loader.batch_size=7", "seed=5")
    config = compose(["mode=evaluate", f"from_run={RUN}", "loader=in_memory", "loader.workers=2"])
    assert (config.loader.kind, config.loader.batch_size, config.loader.workers) == ("in_memory", 32, 2)
    assert config.seed == 5


def test_rerun_notes_keys_of_another_loader(earlier):
    earlier("loader=generator", "loader.batch_size=7", "loader.shuffle=false")
    rerun = [f"rerun={RUN}", "loader=in_memory", "loader.shuffle=true"]
    note = "loader=in_memory sets loader.batch_size to 32; the first run had 7, and loader.batch_size=7 keeps it"
    assert prepare(rerun).notes == (note,)
    assert prepare([*rerun, "loader.batch_size=7"]).notes == prepare([f"rerun={RUN}"]).notes == ()


def test_chosen_file_may_refer_to_the_runs_values(earlier, workplace):
    workplace(conf__loader__mine="defaults: [sequence]\nworkers: ${seed}\n")
    earlier("seed=5")
    job = prepare(["mode=evaluate", f"from_run={RUN}", "loader=mine"])
    assert job.settings.loader.workers == 5
    assert [file.name for file in job.foreign_files] == ["mine.yaml"]


def test_unused_user_files_are_not_listed(earlier, workplace):
    earlier()
    workplace(conf__loader__sequence="kind: sequence\nworkers: 9\n")
    job = prepare(["mode=evaluate", f"from_run={RUN}"])
    assert job.settings.loader.workers == 4
    assert job.foreign_files == ()


def test_typed_key_is_set(earlier):
    Path("moved").mkdir()
    earlier("data=directory", "data.root=moved", "data.target_size=[4,4]")
    Path("moved").rename("elsewhere")
    config = compose(["mode=predict", f"from_run={RUN}", "data.root=elsewhere", "split=train"])
    assert (config.data.root, config.data.target_size, config.split) == (Path("elsewhere"), (4, 4), "train")


def test_from_run_drops_earlier_inputs(earlier):
    earlier("seed=5", changes={"mode": "evaluate", "from_run": "x", "split": "train"})
    config = compose(["mode=predict", f"from_run={RUN}"])
    assert (config.mode, config.from_run, config.split) == ("predict", Path(RUN), None)


def test_settings_compose_to_themselves(earlier):
    earlier("seed=5")
    config = compose(["mode=predict", f"from_run={RUN}"])
    assert type(config).model_validate_json(json.dumps(config.document())) == config


def test_latest_is_the_newest_run_that_trained(earlier):
    earlier("seed=1")
    earlier("seed=2", name="outputs/runs/2026-01-02_10-00-00_bbbbbb")
    earlier("seed=3", name="outputs/runs/2026-01-03_10-00-00_cccccc", model=None, changes={"mode": "check"})
    Path("outputs/latest").symlink_to("runs/2026-01-03_10-00-00_cccccc")
    config = compose(["mode=evaluate", "from_run=latest"])
    assert config.seed == 2
    assert config.from_run == Path("outputs/runs/2026-01-02_10-00-00_bbbbbb")


def test_latest_is_no_debug_run(earlier):
    earlier("seed=1")
    earlier("seed=2", "debug=fast", name="outputs/runs/2026-01-02_10-00-00_bbbbbb")
    Path("outputs/latest").symlink_to("runs/2026-01-02_10-00-00_bbbbbb")
    assert [compose(words).seed for words in (["mode=evaluate", "from_run=latest"], ["rerun=latest"])] == [1, 1]


def test_latest_model_is_of_a_run_that_has_one(earlier):
    earlier("seed=1")
    earlier("seed=2", name="outputs/runs/2026-01-02_10-00-00_bbbbbb", model=None)
    assert compose(["mode=evaluate", "from_run=latest"]).seed == 1
    assert compose(["rerun=latest"]).seed == 2


def test_run_is_named_by_a_part_of_its_name(earlier, problems):
    earlier("seed=1")
    earlier("seed=2", name="outputs/runs/2026-01-02_10-00-00_bbbbbb")
    assert compose(["mode=evaluate", "from_run=aaaaaa"]).from_run == Path(RUN)
    (problem,) = problems("mode=evaluate", "from_run=2026-01")
    assert problem.startswith("from_run must match one run, got 2026-01, which matches")


def test_link_to_a_run_is_followed(earlier):
    earlier("seed=5")
    Path("outputs/latest").symlink_to("runs/" + Path(RUN).name)
    assert compose(["mode=evaluate", "from_run=outputs/latest"]).from_run == Path(RUN)


def test_sweep_may_go_over_runs(earlier):
    earlier("seed=1", name="a")
    earlier("seed=2", name="b")
    sweep = prepare_sweep(["mode=evaluate", "from_run=a,b", "loader.workers=0,1"])
    assert [(job.settings.seed, job.settings.loader.workers) for job in sweep.jobs] == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_help_shows_the_runs_values(earlier):
    earlier("loader=generator", "loader.batch_size=7")
    assert "loader.batch_size=7" in help_text(["mode=evaluate", f"from_run={RUN}", "loader"], "")


def test_mode_without_a_run_suggests_a_fix(problems):
    assert problems("mode=predict") == [
        "mode=predict needs the run whose model to use, got no from_run; add from_run=latest or from_run=RUN_DIR"
    ]


@pytest.mark.parametrize("mode", ["run", "fit"])
def test_run_without_its_mode_is_refused(mode, earlier, problems):
    earlier()
    assert problems(f"mode={mode}", f"from_run={RUN}") == [
        f"from_run must go with mode=evaluate, predict or export, got mode={mode}; "
        "add mode=evaluate, or leave from_run out"
    ]


def test_split_without_its_mode_is_refused(problems):
    assert problems("split=test") == ["split must go with mode=evaluate, predict or export, got mode=run; leave it out"]


def test_missing_run_suggests_the_nearest(earlier, problems, tmp_path):
    earlier(name="runs/first")
    assert problems("mode=evaluate", "from_run=runs/fisrt") == [
        f"from_run must be an existing folder, got runs/fisrt (looked in {tmp_path}/runs); did you mean 'runs/first'?"
    ]


def test_latest_without_runs_is_refused(problems):
    assert problems("mode=evaluate", "from_run=latest") == [
        "from_run=latest must find a run that trained, but there is none in outputs/runs; start one, "
        "or give from_run=RUN_DIR"
    ]


def test_folder_that_is_not_a_run_is_refused(workplace, problems):
    Path("photos").mkdir()
    assert problems("mode=evaluate", "from_run=photos") == [
        "from_run must be the folder of a run, got photos, which has no config.yaml; "
        "give a folder of outputs/runs, or from_run=latest"
    ]


def test_sweep_folder_lists_its_jobs(workplace, problems):
    Path("sweep/0").mkdir(parents=True)
    (told,) = problems("mode=evaluate", "from_run=sweep")
    assert told.endswith("which has no config.yaml; give one of its jobs, from_run=sweep/0")


def test_run_without_a_record_is_refused(earlier, problems):
    (earlier() / "run.json").unlink()
    (told,) = problems("mode=evaluate", f"from_run={RUN}")
    assert told.startswith(f"from_run must be the folder of a run, got {RUN}: {RUN}/run.json does not exist")


@pytest.mark.parametrize(("text", "message"), [("a: [", "cannot be read: "), ("- 1", "must be a mapping")])
def test_damaged_configuration_is_reported(text, message, earlier, problems):
    (earlier() / "config.yaml").write_text(text)
    (told,) = problems("mode=evaluate", f"from_run={RUN}")
    assert told.startswith(f"from_run={RUN}: {RUN}/config.yaml {message}")


def test_failed_run_reports_its_status(earlier, problems):
    earlier(model=None, document={"status": "failed", "stage": "fit"})
    assert problems("mode=evaluate", f"from_run={RUN}") == [
        f"from_run must be a run with a model, got {RUN} (failed during fit), which has neither "
        "checkpoints/best.keras nor model.keras; give a run that was trained"
    ]


def test_evaluation_names_the_run_with_the_model(earlier, problems):
    earlier(model=None, document={"from_run": {"path": "outputs/runs/x"}})
    (told,) = problems("mode=evaluate", f"from_run={RUN}")
    assert told.endswith("; give from_run=outputs/runs/x, whose model it used")


@pytest.mark.parametrize("override", ["model=mlp", "model.dropout=0.1", "train.epochs=3", "data.scale=none"])
def test_what_the_model_has_decided_is_refused(override, earlier, problems):
    earlier()
    assert problems("mode=evaluate", f"from_run={RUN}", override) == [
        f"{override} must not go with from_run: that run's model is used unchanged; leave it out"
    ]


def test_key_cannot_be_removed_from_a_run(earlier, problems):
    earlier()
    assert problems("mode=evaluate", f"from_run={RUN}", "~data.root") == [
        "~data.root must be written as data.root=VALUE: with from_run no file is used that a key could be removed from"
    ]


def test_invalid_earlier_value_names_its_file(earlier, problems):
    earlier(changes={"seed": -1})
    (told,) = problems("mode=evaluate", f"from_run={RUN}", "loader.workers=x")[:1]
    assert told.startswith("seed must be a whole number")
    assert told.endswith(f"(in {RUN}/config.yaml)")


def test_typos_are_matched_with_the_runs_keys(earlier, problems):
    earlier("loader=generator")
    assert problems("mode=evaluate", f"from_run={RUN}", "loader.batch_sise=3") == [
        "unknown key 'loader.batch_sise' for loader=generator; did you mean 'loader.batch_size'?"
    ]


def test_from_run_needs_no_pretrained_files(earlier, problems):
    Path("pretrained.weights.h5").touch()
    earlier("model=application", "model.weights=pretrained.weights.h5")
    Path("pretrained.weights.h5").unlink()
    assert problems("mode=evaluate", f"from_run={RUN}") == []


def test_texts_of_the_run_are_taken_literally(earlier, monkeypatch):
    """They may come from someone else, who must not learn what is in the environment or in files here."""
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    Path("keys.json").write_text('{"token": "hunter2"}')
    root, classes = "photos/${json:keys.json,token} ${seed}", ["${seed}", "a$b{c}"]
    earlier("loader.cache_dir=here", f"data.root={Path.cwd()}", "data.classes=[a]")
    file = Path(RUN) / "config.yaml"
    document = yaml.safe_load(file.read_text())
    document["data"] |= {"root": root, "classes": classes}
    document["loader"]["cache_dir"] = "${oc.env:SECRET_TOKEN}"
    file.write_text(yaml.safe_dump(document))
    Path(root).mkdir(parents=True)
    config = compose([f"rerun={RUN}", "seed=3"])
    assert (str(config.data.root), list(config.data.classes), str(config.loader.cache_dir)) == (
        root,
        classes,
        "${oc.env:SECRET_TOKEN}",
    )
    typed = compose([f"rerun={RUN}", "loader.cache_dir=${json:keys.json,token}"])
    assert str(typed.loader.cache_dir) == "hunter2"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "it refers to anchors"),
        ("a: &a [*a]", "it refers to anchors"),
        ("x: " + "[" * 40 + "]" * 40, "it is nested more than 30 levels deep"),
        ("x: " + "[" * 5000 + "]" * 5000, ""),
        ("x: [" + "1," * 1_001 + "]", "it holds more than 1,000 values"),
        ("x: 2026-01-01", "it holds a value of type date"),
        ("x: !!binary aGk=", "it holds a value of type bytes"),
        ("#" * 10_000_001, "it has 10.0 MB"),
    ],
    ids=["anchors", "circle", "deep", "deeper", "many", "date", "bytes", "large"],
)
def test_configuration_out_of_bounds_is_refused(text, reason, earlier, problems, monkeypatch):
    monkeypatch.setattr("runner.records.config_yaml.MOST_VALUES", 1000)
    earlier()
    (Path(RUN) / "config.yaml").write_text(text)
    keys = ("rerun", "resume", "from_run") if text == BOMB else ("rerun",)
    for key in keys:
        [problem] = problems(*(["mode=evaluate"] if key == "from_run" else []), f"{key}={RUN}")
        assert problem.startswith(f"{key}={RUN}: {RUN}/config.yaml cannot be read: {reason}")


def test_edited_run_may_begin_with_a_mark(earlier):
    folder = earlier("seed=5")
    for name in ("config.yaml", "run.json"):
        (folder / name).write_text("\ufeff" + (folder / name).read_text())
    for words in ([f"rerun={RUN}"], ["mode=evaluate", f"from_run={RUN}"]):
        assert compose(words).seed == 5
