"""The files that Hydra writes for a run."""

import pytest
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from runner.config.jobs import prepare
from runner.config.launch import write_hydra_files
from runner.errors import RunnerError


def test_hydra_composes_once_and_writes_files(tmp_path, monkeypatch):
    composed, load = [], ConfigLoaderImpl.load_configuration
    monkeypatch.setattr(
        ConfigLoaderImpl, "load_configuration", lambda *given, **named: composed.append(named) or load(*given, **named)
    )
    write_hydra_files(prepare(["seed=3", "loader.workers=5"]), tmp_path)
    files = {file.name: yaml.safe_load(file.read_text()) for file in (tmp_path / ".hydra").iterdir()}
    assert len(composed) == 1
    assert files.keys() == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert files["overrides.yaml"] == ["++seed=3", "++loader.workers=5"]
    assert (files["config.yaml"]["seed"], files["config.yaml"]["loader"]["workers"]) == (3, 5)
    assert files["hydra.yaml"]["hydra"]["overrides"]["hydra"] == [f"hydra.run.dir='{tmp_path}'", "hydra.mode=RUN"]


def test_files_that_fail_to_write_are_reported(tmp_path):
    (tmp_path / "run").write_text("a file in the place of the folder")
    with pytest.raises(RunnerError, match=f"Hydra must write the files of {tmp_path}/run, but it stopped: .*exists"):
        write_hydra_files(prepare([]), tmp_path / "run")
