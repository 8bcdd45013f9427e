"""config.yaml reads back equal."""

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from runner.errors import RunnerError
from runner.records.config_yaml import write_config

# OmegaConf gives `${` and `???` a meaning; a resolved configuration has neither.
TEXT = st.text(max_size=20).filter(lambda text: "${" not in text and text != "???")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
DOCUMENTS = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    ),
)


def written(document):
    with tempfile.TemporaryDirectory() as folder:
        write_config(Path(folder), document)
        return (Path(folder) / "config.yaml").read_text(encoding="utf-8")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
def test_config_reads_back_equal(document):
    assert yaml.safe_load(written(document)) == document


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
def test_config_reads_back_equal_with_omegaconf(document):
    assert OmegaConf.to_container(OmegaConf.create(written(document) or "{}")) == document


@pytest.mark.parametrize("text", ["1e5", "1.5e3", "-2E+4", ".5e1", "yes", "null", "2026-01-01"])
def test_ambiguous_text_stays_text(text):
    loaded = OmegaConf.to_container(OmegaConf.create(written({"key": text})))
    assert loaded == {"key": text}


def test_config_keeps_order_and_repeats_aliases():
    size = [8, 8]
    assert written({"b": {"size": size}, "a": {"size": size}}) == (
        "b:\n  size:\n  - 8\n  - 8\na:\n  size:\n  - 8\n  - 8\n"
    )


def test_config_is_not_overwritten(tmp_path):
    write_config(tmp_path, {"seed": 0})
    with pytest.raises(RunnerError, match=r"config\.yaml already exists"):
        write_config(tmp_path, {"seed": 1})
