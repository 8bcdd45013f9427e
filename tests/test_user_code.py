"""Names of the user's own code."""

import sys

import pytest

from runner.errors import ConfigurationError
from runner.user_code import import_code, missing_attribute, module_exists, module_of, resolve


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module into the working directory, and forgets it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name, text):
        file = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] in ("mine_a", "mine_b")]:
        del sys.modules[name]


def test_name_is_found_in_the_working_directory(module):
    module("mine_a", "def f(): return 7")
    module("mine_b.deep", "g = 8")
    assert resolve("mine_a.f", ["mine_a"])() == 7
    assert resolve("mine_b.deep.g", ["mine_a", "mine_b.deep"]) == 8
    assert module_of("mine_b.deep.g") == "mine_b.deep"


def test_only_listed_modules_are_imported(module):
    module("mine_a", "raise SystemExit('imported')")
    with pytest.raises(ConfigurationError, match=r"mine_a\.f must be in a module that extensions lists, got extensions="
                       r"\[mine_b\]; add extensions=\[mine_a\]$"):  # fmt: skip
        resolve("mine_a.f", ["mine_b"])


@pytest.mark.parametrize("name", ["f", "os.system", ""])
def test_names_of_other_modules_are_refused(name):
    with pytest.raises(ConfigurationError, match="must be in a module that extensions lists"):
        resolve(name, [])


def test_missing_module_is_reported(module):
    with pytest.raises(ConfigurationError, match=r"imported, got mine_a\.x, but there is no mine_a; put it"):
        resolve("mine_a.x.f", ["mine_a.x"])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("\nimport mine_b_is_not_there", "ModuleNotFoundError: No module named 'mine_b_is_not_there'"),
        ("\ndef f(:", "SyntaxError: invalid syntax"),
        ("\nraise ValueError", "ValueError"),
    ],
)
def test_failing_module_names_file_and_line(module, text, error):
    file = module("mine_a", text)
    with pytest.raises(ConfigurationError) as refused:
        resolve("mine_a.f", ["mine_a"])
    assert str(refused.value) == (
        f"extensions must list modules that can be imported, got mine_a: {error} ({file}, line 2); fix it there"
    )


def test_modules_are_found_without_import(module):
    module("mine_a", "raise SystemExit('imported')")
    module("mine_b.deep", "raise SystemExit('imported')")
    assert [module_exists(name) for name in ("mine_a", "mine_b.deep", "numpy.linalg", "sys")] == [True] * 4
    assert [module_exists(name) for name in ("mine_c", "mine_a.deep", "mine_b.other", "a-b", "")] == [False] * 5


def test_missing_name_is_reported_with_its_file(module):
    file = module("mine_a", "def f(): return 7")
    with pytest.raises(ConfigurationError) as refused:
        resolve("mine_a.g", ["mine_a"])
    assert str(refused.value) == f"mine_a.g must be in {file}, which has no 'g'; define it there, or correct the name"


def test_names_of_another_script_are_reported(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "here", test_missing_name_is_reported_with_its_file, raising=False)
    assert missing_attribute("__main__.here") is None
    assert missing_attribute("__main__.there").startswith("__main__.there is in a script or notebook that this process")
    import_code(["__main__.there"])  # as a saved model may well load without it
