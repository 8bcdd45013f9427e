"""The files under conf/: each composes, opens with what it is, and repeats no default wrongly."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from runner import compose
from runner.choices import our_conf
from runner.config.schema import Schema

FILES = sorted(our_conf().rglob("*.yaml"))
CHOICES = [file for file in FILES if file.parent != our_conf()]
DECIDED = {("train", "epochs")}
"""Keys whose value is the default run's and not the schema's."""


LOADER_CUSTOM = ["data=none", "loader=custom", "extensions=[mine]", "loader.target=mine.DataGenerator"]


def choice(file):
    return f"{file.parent.name}={file.stem}"


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Mandatory values, by the choice that needs them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runner.config.compose.not_installed", lambda packages: [])  # extras may be missing here
    np.savez("arrays.npz", x=np.zeros(3))
    Path("mine.py").write_text("build = Source = DataGenerator = None")
    for name in ("photos.csv", "partition.json", "labels.json"):
        Path(name).touch()
    return {
        "data=directory": ["data.root=."],
        "data=arrays": ["data.path=arrays.npz"],
        "data=npy": ["data.root=.", "data.partition=partition.json", "data.labels=labels.json"],
        "data=pack": ["data.root=."],
        "data=tar": ["data.shards=shards.tar"],
        "data=custom": ["extensions=[mine]", "data.target=mine.Source"],
        "data=mix": ["data.parts={a: {kind: digits}, b: {kind: digits}}"],
        "data=none": LOADER_CUSTOM,
        "loader=custom": LOADER_CUSTOM,
        "model=custom": ["extensions=[mine]", "model.target=mine.build"],
        "data=dataframe": ["data.manifest=photos.csv", "data.label_columns=[species]"],
    }


def test_default_composes():
    config = compose()
    assert (config.data.kind, config.loader.kind, config.model.kind) == ("digits", "sequence", "cnn")
    assert config.train.epochs == 20


@pytest.mark.parametrize("file", CHOICES, ids=choice)
def test_choice_composes(file, given):
    config = compose([choice(file), *given.get(choice(file), ())])
    assert getattr(getattr(config, file.parent.name), "kind", file.stem) == file.stem


@pytest.mark.parametrize("file", CHOICES, ids=choice)
def test_file_names_its_component(file):
    assert yaml.safe_load(file.read_text()).get("kind", "default") == file.stem


@pytest.mark.parametrize("file", CHOICES, ids=choice)
def test_file_repeats_the_schemas_defaults(file):
    content = yaml.safe_load(file.read_text())
    schema, group = Schema(), file.parent.name
    component = schema.component(schema.root["properties"][group], content)
    defaults = {key: component["properties"][key].get("default", value) for key, value in content.items()}
    wrong = {key for key, value in content.items() if value != defaults[key]}
    assert {(group, key) for key in wrong} <= DECIDED


def test_primary_file_repeats_schema_defaults():
    content = yaml.safe_load((our_conf() / "config.yaml").read_text())
    keys = set(content) - {"defaults", "hydra"}
    assert {key: content[key] for key in keys} == {key: Schema().root["properties"][key]["default"] for key in keys}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file_opens_with_what_it_is_and_a_command(file):
    first, second = file.read_text().splitlines()[:2]
    assert re.match(r"# [A-Z`0-9s].*[.:;,]?", first)
    assert second.startswith("#   python -m runner")


def test_readme_lists_exactly_the_files():
    listed = re.findall(r"^\| `([\w/]+\.yaml)` \|", (our_conf() / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == [file.relative_to(our_conf()).as_posix() for file in FILES]


def test_every_component_of_the_schema_has_a_file():
    for group in ("data", "loader", "model"):
        kinds = set(Schema().variants(Schema().root["properties"][group]).components)
        assert kinds == {file.stem for file in (our_conf() / group).glob("*.yaml")}


def test_conf_is_next_to_package_in_checkout():
    assert our_conf() == Path(__file__).parents[2] / "conf"
