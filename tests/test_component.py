"""Packages that only some choices need: told while the configuration is judged, all of them, and never imported."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from runner import compose
from runner.__main__ import execute
from runner.component import Package, not_installed, require
from runner.errors import ConfigurationError
from runner.modes.run import run

CHOICES = {
    "tracker=tensorboard": ("tensorboardX", "tensorboard", "choose tracker=none"),
    "tracker=mlflow": ("mlflow", "mlflow", "choose tracker=none"),
    "backend=jax": ("jax", "jax", "choose backend=tensorflow"),
    "backend=torch": ("torch", "torch", "choose backend=tensorflow"),
    "data.manifest=photos.parquet": ("pyarrow", "parquet", "save the table as .csv"),
}
OTHERS = {"data.manifest=photos.parquet": ["data=dataframe", "data.label_columns=[a]"]}


def told(choice):
    package, extra, otherwise = CHOICES[choice]
    mend = f"pip install 'keras-runner[{extra}]', or {otherwise}"
    return f"{choice} needs the package {package}, which is not installed; {mend}"


@pytest.fixture
def without(tmp_path, monkeypatch):
    """Takes packages away, and starts in an empty folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos.parquet").touch()
    return lambda *packages: [monkeypatch.setitem(sys.modules, package, None) for package in packages]


@pytest.mark.parametrize("choice", CHOICES)
def test_missing_package_is_reported_first(choice, without, capsys):
    without(CHOICES[choice][0])
    assert execute([choice, *OTHERS.get(choice, [])]) == 2
    assert capsys.readouterr().err == f"error: {told(choice)}\n"
    assert not Path("outputs").exists()


def test_missing_packages_join_other_problems(without):
    without("mlflow", "jax")
    with pytest.raises(ConfigurationError) as refused:
        compose(["tracker=mlflow", "backend=jax", "seed=-1"])
    assert refused.value.problems[1:] == (told("backend=jax"), told("tracker=mlflow"))


def test_every_job_is_checked_for_packages(without, capsys):
    without("mlflow")
    assert execute(["-m", "tracker=none,mlflow"]) == 2
    assert capsys.readouterr().err == f"error: {told('tracker=mlflow')} (job 1: tracker=mlflow)\n"


@pytest.mark.parametrize("overrides", [["tracker=mlflow", "mode=check"], ["backend=jax", "mode=bench"]])
def test_unused_package_may_be_missing(overrides, without):
    without("mlflow", "jax")
    assert compose(overrides).mode in ("check", "bench")


def test_run_from_python_checks_packages_first(without, tmp_path):
    config = compose(["tracker=tensorboard"])
    without("tensorboardX")
    with pytest.raises(ConfigurationError, match=r"keras-runner\[tensorboard\]"):
        run(config, folder=tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_folder_of_the_same_name_is_no_package(without, monkeypatch):
    Path("left_over").mkdir()
    monkeypatch.syspath_prepend(Path.cwd())
    package = Package("tracker=x", "left_over", extra=None, otherwise="choose tracker=none")
    assert not_installed([package]) == [
        "tracker=x needs the package left_over, which is not installed; pip install left_over, or choose tracker=none"
    ]


def test_old_package_is_a_problem(monkeypatch):
    package = Package("sweep.search=optuna", "optuna", "optuna", otherwise="use sweep.search=random")
    monkeypatch.setattr("runner.component.find_spec", lambda name: find_spec("pytest"))
    monkeypatch.setattr("runner.component.metadata.requires", lambda name: ["optuna>=5; extra == 'optuna'"])
    monkeypatch.setattr("runner.component.metadata.version", lambda name: "5.1")
    assert not_installed([package]) == []
    monkeypatch.setattr("runner.component.metadata.version", lambda name: "3.6.1")
    assert not_installed([package]) == [
        "sweep.search=optuna needs optuna>=5, got version 3.6.1; pip install 'keras-runner[optuna]', or use "
        "sweep.search=random"
    ]


def test_what_is_installed_is_not_imported(monkeypatch, tmp_path):
    (tmp_path / "costly_package.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    require([Package("a=b", "costly_package", extra=None, otherwise="leave it out")])
    assert "costly_package" not in sys.modules
