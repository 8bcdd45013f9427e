"""Where configuration files are looked for, in a checkout and in an installed package."""

import shutil
import subprocess
import sys
from pathlib import Path

from runner.choices import our_conf
from runner.config.config_file import shown

ROOT = Path(__file__).parents[2]


def test_installed_package_brings_its_own_files(tmp_path):
    # What a wheel holds: the package, and conf inside it.
    shutil.copytree(ROOT / "runner", tmp_path / "site/runner", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "conf", tmp_path / "site/runner/conf")
    command = [sys.executable, "-m", "runner", "--cfg", "job", "loader=generator"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"kind: generator" in done.stdout


def test_paths_in_working_directory_are_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "conf/a.yaml") == "conf/a.yaml"
    assert shown(our_conf()) == str(our_conf())
