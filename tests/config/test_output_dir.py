"""Another folder for runs, by key or environment variable, and a folder of files that projects share."""

import errno
import json
from pathlib import Path

import pytest

from runner import __main__ as cli
from runner import compose, report
from runner.commands.prepare_sweep import prepare_sweep
from runner.config.config_file import SHARED_CONF
from runner.config.jobs import prepare
from runner.distribute.hosts import HostGroup
from runner.errors import ConfigurationError
from runner.exit import guarded
from runner.records.config_yaml import write_config
from runner.records.folder import VARIABLE, call, new_run_folder, new_sweep_folder, outputs
from runner.runs.__main__ import execute

NAME = "2026-01-01_10-00-00_aaaaaa"
DISC = "a scratch disk"


@pytest.fixture
def stored(workplace):
    """Writes a run that trained, with a model, below a folder."""
    workplace()

    def store(root, name=NAME):
        folder = Path(root, "runs", name)
        (folder / "checkpoints").mkdir(parents=True)
        write_config(folder, compose(["seed=5"]).document())
        heads = [{"name": "", "mode": "sparse", "class_names": ["cat", "dog"]}]
        facts = {"status": "failed", "stage": None, "data": {"heads": heads}, "from_run": {}}
        (folder / "run.json").write_text(json.dumps(facts))
        (folder / "checkpoints" / "best.keras").touch()
        return folder

    return store


def test_key_wins_over_variable_over_default(monkeypatch):
    assert outputs() == Path("outputs")
    monkeypatch.setenv(VARIABLE, "~/mine")
    monkeypatch.setenv("HOME", "/home/me")
    assert outputs() == Path("/home/me/mine")
    assert outputs(Path("other")) == Path("other")
    monkeypatch.setenv(VARIABLE, "")
    assert outputs() == Path("outputs")
    assert outputs(Path("~nobody-of-this-name/x")) == Path("~nobody-of-this-name/x")


def test_runs_do_not_differ_by_where_they_lie(workplace):
    workplace()
    settings = compose([f"output_dir={DISC}"])
    assert settings.output_dir == Path(DISC)
    assert settings.document() == compose().document() and "output_dir" not in settings.document()


@pytest.mark.parametrize("key", ["mode=evaluate from_run", "resume", "rerun"])
@pytest.mark.parametrize("name", ["latest", "aaaaaa"])
def test_earlier_run_is_found_in_another_folder(stored, key, name, monkeypatch):
    folder = stored(DISC)
    *more, key = key.split()
    request = [*more, f"{key}={name}"]
    assert getattr(compose([*request, f"output_dir={DISC}"]), key) == folder
    with pytest.raises(ConfigurationError, match="must (be an existing folder|find a run|find a run that trained)"):
        compose(request)
    monkeypatch.setenv(VARIABLE, str(Path(DISC).absolute()))
    assert getattr(compose(request), key) == folder


def test_folder_without_runs_is_named(stored):
    stored("outputs")
    with pytest.raises(ConfigurationError, match="there is none in elsewhere/runs; start one"):
        compose(["resume=latest", "output_dir=elsewhere"])


def test_sweep_has_one_folder_for_all_jobs(workplace, monkeypatch):
    workplace(conf__experiment__disc=f"# @package _global_\noutput_dir: {DISC}\n")
    assert prepare_sweep(["seed=1", "output_dir=x"]).root == Path("x")
    assert prepare_sweep(["seed=1", "experiment=disc"]).root == Path(DISC)
    assert prepare_sweep(["sweep.resume=latest", "output_dir=x"]).root == Path("x")
    monkeypatch.setenv(VARIABLE, "y")
    assert prepare_sweep(["seed=1"]).root == Path("y")
    with pytest.raises(ConfigurationError, match="output_dir=a,b must be one value: it applies to all jobs"):
        prepare_sweep(["output_dir=a,b"])
    with pytest.raises(ConfigurationError, match="output_dir must be a folder, or null, got 3"):
        prepare_sweep(["sweep.resume=latest", "output_dir=3"])


def test_runs_and_report_take_the_same_key(stored, capsys, monkeypatch):
    folder = stored(DISC)
    for option in (f"output_dir={DISC}", f"root={DISC}"):
        assert execute(["list", option, "format=csv"]) == 0
        assert NAME in capsys.readouterr().out
    assert report.execute(["aaaaaa", f"output_dir={DISC}"]) == 0
    assert (folder / "report.html").exists()
    with pytest.raises(ConfigurationError, match="root and output_dir are the same; give only one"):
        execute(["list", "root=x", "output_dir=x"])
    monkeypatch.setenv(VARIABLE, DISC)
    execute(["page"])
    assert capsys.readouterr().out.endswith(f"page      {DISC}/index.html\n")
    assert (call(folder), call(Path("outputs/runs/x"))) == (str(folder.resolve()), "x")


def test_run_and_its_links_go_to_the_folder(workplace, capsys, digits_root):
    workplace()
    keys = [f"output_dir={DISC}", "mode=check", f"data.root={digits_root}", "data.limit=60"]
    assert cli.execute(keys) == 0, capsys.readouterr().err
    (folder,) = Path(DISC, "runs").iterdir()
    assert Path(DISC, "latest").resolve() == folder.resolve()
    assert folder.name in Path(DISC, "index.html").read_text()
    assert not Path("outputs").exists()


def test_hosts_meet_in_the_folder(workplace):
    group = HostGroup("node0:1234", 0, 2, 1, {}, outputs(Path(DISC)))
    assert group.folder == Path(DISC, "hosts", "node0_1234")


@pytest.mark.parametrize("make", [new_run_folder, new_sweep_folder])
def test_folder_that_cannot_be_written_is_refused(make, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"output_dir must be a folder to write to, got .*file: cannot make"):
        make(tmp_path / "file")

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert guarded(lambda: make(tmp_path / "new" / "disc")) == 2
    assert f"got {tmp_path}/new/disc: cannot make a folder in " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_shared_files_come_after_the_projects_own(workplace, tmp_path, monkeypatch):
    shared = {"loader/mine": "workers: 2", "loader/other": "workers: 5"}
    for name, text in shared.items():
        (tmp_path / "shared" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shared" / f"{name}.yaml").write_text(f"defaults: [sequence]\n{text}\n")
    workplace(conf__loader__mine="defaults: [sequence]\nworkers: 3\n")
    monkeypatch.setenv(SHARED_CONF, str(tmp_path / "shared"))
    jobs = [prepare([f"loader={name}"]) for name in ("mine", "other")]
    assert [job.settings.loader.workers for job in jobs] == [3, 5]
    assert jobs[1].foreign_files == (tmp_path / "shared/loader/other.yaml",)
    assert [job.settings.loader.workers for job in prepare_sweep(["loader=other,mine"]).jobs] == [5, 3]
    (tmp_path / "shared" / "config.yaml").touch()
    with pytest.raises(ConfigurationError, match=r"shared/config.yaml must not exist: it would replace"):
        compose()


def test_flag_names_the_shared_folder(workplace, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(SHARED_CONF, raising=False)
    workplace(shared__loader__other="defaults: [sequence]\nworkers: 5\n")
    assert cli.execute(["--config-dir", "shared", "loader=other", "--cfg", "job"]) == 0
    assert "  workers: 5\n" in capsys.readouterr().out
    assert cli.execute(["loader=other", "--cfg", "job"]) == 2  # it holds for one command
    assert cli.SHARED_CONF == SHARED_CONF
