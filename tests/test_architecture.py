"""Every module says what it is."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "runner"


def test_every_module_lists_its_purpose_in_one_line():
    for file in PACKAGE.rglob("*.py"):
        first = file.read_text().splitlines()[0]
        assert first.startswith('"""'), file
