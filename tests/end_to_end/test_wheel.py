"""The package as it is shipped: the configuration files travel inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A wheel of this checkout, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run_from(site, *arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout


def test_wheel_composes_from_the_files_inside(unpacked, tmp_path):
    code = "import runner; print(runner.__file__); print(runner.compose(['loader=generator']).loader.kind)"
    file, kind = run_from(unpacked, "-c", code, cwd=tmp_path).splitlines()
    assert Path(file).is_relative_to(unpacked)
    assert kind == "generator"


def test_wheel_brings_every_configuration_file(unpacked):
    shipped = {file.relative_to(unpacked / "runner") for file in (unpacked / "runner" / "conf").rglob("*.yaml")}
    assert shipped == {file.relative_to(ROOT) for file in (ROOT / "conf").rglob("*.yaml")}


def test_wheel_runs_and_names_console_script(unpacked, tmp_path):
    assert "[sequence]" in run_from(unpacked, "-m", "runner", "--help", cwd=tmp_path)
    (metadata,) = unpacked.glob("*.dist-info")
    assert "keras-runner = runner.__main__:main" in (metadata / "entry_points.txt").read_text()
    assert (metadata / "licenses" / "LICENSE").exists()
