"""Every command and every piece of Python in the README runs."""

import contextlib
import json
import re
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.removeprefix("$ python -m runner ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
ON_RUNS = re.findall(
    r"python -m (runner\.runs|runner\.report) ([^\n)]+)", "".join(re.findall(r"```bash.*?```", README, re.S))
)
PYTHON = re.findall(r"```python\n(?!# my_)(.*?)```", README, re.DOTALL)
FILES = re.findall(r"```python\n# (my_\w+\.py)\n(.*?)```", README, re.DOTALL)
CONFIGURED = re.findall(r"```yaml\n# (conf/[\w/]+\.yaml)\n(.*?)```", README, re.DOTALL)
MODULE = """
def standardise(array, rng):
    return (array - array.mean()) / array.std()
"""
LEFT = {
    "mode=bench": "bench.csv",
    "mode=check": "check.json",
    "mode=evaluate": "run.json",
    "debug=overfit": "model.keras",
    "debug=profile": "profile.pstats",
}
"""What a command leaves where that is no predictions.csv."""
SINGLE = [command for command in COMMANDS if not command.startswith("-m ")]

SWEEPS = [command.removeprefix("-m ") for command in COMMANDS if command.startswith("-m ")]
SWEEPS_FOR_REAL = [each for each in SWEEPS if each.startswith(("loader=sequence", "sweep.search=random"))]
"""A job takes some seconds, most of them to start: a sweep of two jobs, and a search of one."""


@pytest.fixture
def workplace(tmp_path, digits_root, monkeypatch):
    """A folder with what the recipes name: photos and a table of them, volumes, arrays, digits, its modules."""
    random = np.random.default_rng(0)
    table = ["path,bi,multi"]
    for name in ("bird", "cat", "dog"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg")
            table.append(f"photos/{name}/{number}.jpg,{'bird' if name == 'bird' else 'other'},{name}")
    (tmp_path / "photos.csv").write_text("\n".join(table))
    ids = [f"id-{number}" for number in range(20)]
    (tmp_path / "volumes").mkdir()
    for name in ids:
        np.save(tmp_path / "volumes" / f"{name}.npy", random.normal(size=(16, 16, 16, 1)).astype(np.float32))
    (tmp_path / "partition.json").write_text(json.dumps({"train": ids[:12], "validation": ids[12:]}))
    (tmp_path / "labels.json").write_text(json.dumps({name: number % 3 for number, name in enumerate(ids)}))
    x, y = random.normal(size=(60, 5)).astype(np.float32), random.integers(0, 3, 60)
    np.savez(tmp_path / "arrays.npz", x=x, y=y)
    for name, text in (*FILES, *CONFIGURED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "outputs" / "data").mkdir(parents=True)
    (tmp_path / "outputs" / "data" / "digits").symlink_to(digits_root)
    (tmp_path / "my_module.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("my_module.py", *(name for name, _ in FILES)):
        sys.modules.pop(name.removesuffix(".py"), None)


@pytest.fixture(scope="module")
def earlier(digits_root, tmp_path_factory):
    """A folder with a run in it, of which recipes say `latest`."""
    import runner

    folder = tmp_path_factory.mktemp("earlier")
    with contextlib.chdir(folder):
        (folder / "outputs" / "data").mkdir(parents=True)
        (folder / "outputs" / "data" / "digits").symlink_to(digits_root)
        runner.run(runner.compose(["model=mlp", "train.epochs=1"]))
    return folder


@pytest.mark.parametrize("command", SINGLE)
def test_readme_command_runs(command, workplace, request, monkeypatch):
    import runner

    if "=latest" in command:
        runs = Path("outputs") / "runs"
        shutil.copytree(request.getfixturevalue("earlier") / runs, runs, symlinks=True)
    quick = [] if "from_run" in command else ["train.epochs=2" if "resume" in command else "train.epochs=1"]
    quick += ["bench.seconds=0.05"] if command.startswith("mode=bench") else []
    # What is said of digits holds for some of them; a run that is used or gone on with keeps its data.
    quick += [] if re.search(r"\bdata=(?!digits)|data\.limit|=latest", command) else ["data.limit=100"]
    # All loaders are measured in tests of their own; here the one that the recipe is typed with.
    monkeypatch.setattr("runner.modes.bench.candidates", lambda asked, *_, **__: [asked])
    record = runner.run(runner.compose([*shlex.split(command), *quick]))
    assert record.document["status"] == "completed"
    left = LEFT.get(command.split()[0], "predictions.csv")
    assert (record.path / left).exists()


@pytest.mark.parametrize("command", SWEEPS)
def test_readme_sweep_is_as_configuration_has_it(command, workplace, monkeypatch):
    from runner.config import jobs
    from runner.config.jobs import prepare_sweep

    monkeypatch.setattr(jobs, "launcher_problem", lambda settings: None)  # there may be no cluster here
    monkeypatch.setattr("runner.component.find_spec", lambda name: find_spec("pytest"))  # nor its package
    sweep = prepare_sweep(shlex.split(command))
    assert len(sweep.jobs) > 1 or sweep.searched is not None or sweep.settings.resume is not None


@pytest.mark.parametrize("command", SWEEPS_FOR_REAL)
def test_readme_sweep_runs_as_a_person_starts_it(command, workplace, monkeypatch):
    from runner.commands.sweep import run_sweep
    from runner.config.jobs import prepare_sweep
    from runner.sweeps.results import read_results

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    words = [*shlex.split(command), "model=mlp", "mode=fit", "train.epochs=1", "data.limit=100", "sweep.jobs=2"]
    num_jobs = 1 if "sweep.search" in command else 2
    words += ["sweep.trials=1"] if num_jobs == 1 else []
    assert run_sweep(prepare_sweep(words), ["-m", *words]) == 0
    (folder,) = Path("outputs/sweeps").iterdir()
    assert read_results(folder).status_counts() == {"completed": num_jobs}
    assert {"report.html", "summary.md", "sweep.csv"} <= {file.name for file in folder.iterdir()}


def test_readme_commands_on_runs_work(workplace, capsys):
    import runner
    from runner import report
    from runner.runs import __main__ as runs

    first = runner.run(runner.compose(["model=mlp", "train.epochs=15", "loader=in_memory"])).path
    shutil.copytree(first, first.with_name("2026-01-01_00-00-00_7550ad"))
    modules = {"runner.runs": runs, "runner.report": report}
    assert {module for module, _ in ON_RUNS} == set(modules)
    for module, words in ON_RUNS:
        assert modules[module].execute(shlex.split(words, comments=True)) == 0
        assert capsys.readouterr().out


def test_readme_python_runs(workplace):
    namespace = {}
    for code in PYTHON:
        exec(code.replace("epochs=3", "epochs=1").replace('_size=8"]', '_size=8", "train.epochs=1"]'), namespace)
    assert namespace["record"].document["status"] == "completed"


def test_readme_shows_every_loader_and_source():
    root = ROOT / "conf"
    for group in ("loader", "data"):
        for file in (root / group).glob("*.yaml"):
            assert f"{group}={file.stem}" in "\n".join(COMMANDS)
