"""The machine, packages and code of a run."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from runner.records import provenance
from runner.records.provenance import (
    cpu_version,
    environment,
    git_state,
    gpus,
    machine,
    packages,
    set_variable,
    versions,
)


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "train.py").write_text("1")
    git("add", "train.py")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "first")
    return tmp_path


def test_versions_are_those_installed():
    found = versions("jax")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert {"keras", "jax", "hydra-core", "omegaconf", "pydantic", "keras-runner"} <= set(found)


def test_missing_packages_have_null_versions():
    assert versions("no-such-backend")["no-such-backend"] is None


def test_versions_import_no_framework():
    code = (
        "import sys; from runner.records.provenance import *; versions('tensorflow'); machine();"
        "print([m for m in ('tensorflow', 'keras', 'numpy', 'hydra') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_machine_says_what_computes():
    found = machine()
    assert found["platform"]
    assert found["cpu"]
    assert int(found["num_cores"]) >= 1
    assert int(found["memory_bytes"]) > 2**20


def test_processors_of_one_brand_differ(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\nmodel\t\t: 99\n")
    assert cpu_version(info) == {"cpu family": "25", "model": "17"}
    assert cpu_version(tmp_path / "absent") == {}


def test_clean_repository_state_is_its_commit(repository):
    state = git_state(repository)
    assert state is not None
    assert len(str(state["commit"])) == 40
    assert state["dirty"] is False


def test_changed_file_makes_repository_dirty(repository):
    (repository / "outputs.txt").write_text("not tracked")
    assert (git_state(repository) or {})["dirty"] is False
    (repository / "train.py").write_text("2")
    assert (git_state(repository) or {})["dirty"] is True


def test_git_state_is_null_without_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None


def test_git_state_is_null_without_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    assert git_state(repository) is None


def test_git_state_does_not_wait_for_a_slow_git(repository, monkeypatch):
    slow = repository / "git"
    slow.write_text('#!/bin/sh\n[ "$2" = rev-parse ] && echo abc && exit\nexec /bin/sleep 60\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(repository))
    monkeypatch.setattr(provenance, "GIT_SECONDS", 0.5)
    assert git_state(repository) == {"commit": "abc", "dirty": None, "patch": None}


def test_patch_is_written_with_its_digest(repository, tmp_path):
    (repository / "train.py").write_text("2")
    state = git_state(repository, patch_to=tmp_path / "code.patch") or {}
    patch = (tmp_path / "code.patch").read_bytes()
    assert state["patch"] == hashlib.sha256(patch).hexdigest()
    assert b"-1\n" in patch
    assert b"+2\n" in patch
    subprocess.run(["git", "checkout", "train.py"], cwd=repository, check=True, capture_output=True)
    subprocess.run(["git", "apply", str(tmp_path / "code.patch")], cwd=repository, check=True)
    assert (repository / "train.py").read_text() == "2"
    (repository / "train.py").write_text("3")
    assert (git_state(repository) or {})["patch"] != state["patch"]


def test_long_patch_is_cut_with_full_digest(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PATCH_BYTES", 300)
    digests = []
    for end in "ab":
        (repository / "train.py").write_text("x\n" * 5000 + end)
        file = tmp_path / f"{end}.patch"
        digests.append((git_state(repository, patch_to=file) or {})["patch"])
        assert file.stat().st_size < 400
        assert b"\n# Cut off here: 300 of " in file.read_bytes()
    assert digests[0] != digests[1]


def test_clean_repository_has_no_patch(repository, tmp_path):
    assert (git_state(repository, patch_to=tmp_path / "code.patch") or {})["patch"] is None
    assert not (tmp_path / "code.patch").exists()


def test_packages_are_all_that_is_installed():
    found = packages()
    assert found["numpy"] == np.__version__
    assert {"keras", "pytest", "pyyaml", "typing-extensions"} <= set(found)
    assert list(found) == sorted(found)
    assert {
        name: version for name, version in versions("tensorflow").items() if name != "python"
    }.items() <= found.items()


def test_gpus_are_those_of_the_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() is None
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.86.15, 143771 MiB'\necho 'NVIDIA, Inc. X, 1.2, 5 MiB'\n")
    tool.chmod(0o755)
    assert gpus() == [
        {"name": "NVIDIA H200", "driver": "570.86.15", "memory": "143771 MiB"},
        {"name": "NVIDIA, Inc. X", "driver": "1.2", "memory": "5 MiB"},
    ]


def test_environment_is_what_is_set_of_it(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    found = environment()
    assert found["OMP_NUM_THREADS"] == "3"
    assert not {"XLA_FLAGS", "SECRET_TOKEN"} & set(found)


@pytest.mark.parametrize("given", [None, "--xla_dump_to=dump"])
def test_environment_is_as_the_user_gave_it(given, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", given or "")  # so that it is restored afterwards
    if given is None:
        monkeypatch.delenv("XLA_FLAGS")
    before = environment()
    set_variable("XLA_FLAGS", "--ours")
    assert os.environ["XLA_FLAGS"] == "--ours"
    assert environment() == before
    monkeypatch.setenv("XLA_FLAGS", "--of the next run")
    assert environment()["XLA_FLAGS"] == "--of the next run"
