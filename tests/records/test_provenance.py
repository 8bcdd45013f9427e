"""What a run ran on and with."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runner.records import provenance
from runner.records.provenance import git_state, machine, versions


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "train.py").write_text("1")
    git("add", "train.py")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "first")
    return tmp_path


def test_versions_are_those_installed() -> None:
    found = versions("jax")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert {"keras", "jax", "hydra-core", "omegaconf", "pydantic", "keras-runner"} <= set(found)


def test_versions_have_null_for_what_is_not_installed() -> None:
    assert versions("no-such-backend")["no-such-backend"] is None


def test_versions_import_no_framework() -> None:
    code = (
        "import sys; from runner.records.provenance import *; versions('tensorflow'); machine();"
        "print([m for m in ('tensorflow', 'keras', 'numpy', 'hydra') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_machine_says_what_computes() -> None:
    found = machine()
    assert found["platform"]
    assert found["cpu"]
    assert int(found["num_cores"]) >= 1
    assert int(found["memory_bytes"]) > 2**20


def test_git_state_of_a_clean_repository_is_its_commit(repository: Path) -> None:
    state = git_state(repository)
    assert state is not None
    assert len(str(state["commit"])) == 40
    assert state["dirty"] is False


def test_git_state_is_dirty_once_a_tracked_file_changed(repository: Path) -> None:
    (repository / "outputs.txt").write_text("not tracked")
    assert (git_state(repository) or {})["dirty"] is False
    (repository / "train.py").write_text("2")
    assert (git_state(repository) or {})["dirty"] is True


def test_git_state_is_null_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None


def test_git_state_is_null_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_state(repository) is None


def test_git_state_does_not_wait_for_a_slow_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = repository / "git"
    slow.write_text('#!/bin/sh\n[ "$2" = rev-parse ] && echo abc && exit\nexec /bin/sleep 60\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(repository))
    monkeypatch.setattr(provenance, "GIT_SECONDS", 0.5)
    assert git_state(repository) == {"commit": "abc", "dirty": None, "patch": None}
