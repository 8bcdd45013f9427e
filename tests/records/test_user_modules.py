"""Digests of the user's own code: what counts as it, and what does not."""

import sys

import pytest

from runner.records.user_modules import changed_modules, code_digests


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of a module, what it imports, and what it does not."""
    monkeypatch.chdir(tmp_path)
    files = {
        "my_model.py": "import json\nimport numpy\ndef build():\n    from my_layers import first\n",
        "my_layers/__init__.py": "from .second import thing\n",
        "my_layers/first.py": "",
        "my_layers/second.py": "from ..missing import nothing",
        "other.py": "",
        "broken.py": "def",
        "venv/lib/site-packages/installed.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "venv/lib/site-packages")])
    return tmp_path


def test_imports_of_the_project_are_digested(project):
    assert list(code_digests(["my_model"])) == ["my_layers", "my_layers.first", "my_layers.second", "my_model"]
    assert list(code_digests(["broken", "json", "missing"])) == ["broken"]


def test_installed_modules_are_left_out(project):
    (project / "my_model.py").write_text("import installed, other")
    assert list(code_digests(["my_model"])) == ["my_model", "other"]
    assert list(code_digests(["installed"])) == ["installed"]  # listed by name


def test_change_of_an_import_is_named(project):
    before = code_digests(["my_model"])
    assert list(changed_modules(before, before)) == []
    (project / "my_layers" / "first.py").write_text("import other")
    assert list(changed_modules(before, code_digests(["my_model"]))) == [
        "the code of module my_layers.first changed",
        "module other is new",
    ]
    assert list(changed_modules(before, {})) == [f"module {name} is not used any more" for name in before]
    assert list(changed_modules(None, before)) == []
