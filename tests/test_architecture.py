"""The architecture page names exactly the files there are."""

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "runner"


def test_architecture_page_lists_exactly_the_files_that_exist():
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", (PACKAGE / "README.md").read_text(), re.MULTILINE)
    files = {file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py")}
    files -= {file for file in files if file.endswith("/__init__.py") or file == "__init__.py"}
    assert sorted(listed) == sorted(files)


def test_every_module_lists_its_purpose_in_one_line():
    for file in PACKAGE.rglob("*.py"):
        first = file.read_text().splitlines()[0]
        assert first.startswith('"""'), file
