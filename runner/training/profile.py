"""`debug=profile`: the training thread under cProfile, and its slowest packages and functions."""

from __future__ import annotations

import cProfile
import pstats
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.messages import plural

PROFILE_PSTATS = "profile.pstats"
MOST_PACKAGES, MOST_FUNCTIONS = 5, 5
"""The packages, and the functions of each, that a summary lists."""

ROOTS = (Path(sysconfig.get_path("purelib")), Path(__file__).parents[2])
"""The folders of packages: installed ones, and this one."""


@dataclass(frozen=True)
class ProfiledFunction:
    """A function, the number of its calls, and the seconds in it without the functions that it called."""

    package: str
    name: str
    calls: int
    seconds: float


@contextmanager
def profiled(file: Path) -> Iterator[None]:
    """Profile the block in this thread, and write a file for `pstats` and snakeviz, also if the block raises."""
    profile = cProfile.Profile()
    try:
        with profile:
            yield
    finally:
        profile.dump_stats(file)


def profile_lines(file: Path) -> Iterator[tuple[str, str]]:
    """The packages that took the most time, and the slowest functions of each."""
    functions = sorted(_functions(file), key=lambda function: -function.seconds)
    total = sum(function.seconds for function in functions)
    packages: dict[str, list[ProfiledFunction]] = {}
    for function in functions:
        packages.setdefault(function.package, []).append(function)
    ranked = sorted(packages.items(), key=lambda item: -sum(function.seconds for function in item[1]))
    yield "profile", f"{total:.2f} s in the training thread, by package and function: {file}"
    for package, members in ranked[:MOST_PACKAGES]:
        seconds = sum(function.seconds for function in members)
        yield "", f"{seconds:8.2f} s {seconds / max(total, 1e-9):4.0%}  {package}"
        for function in members[:MOST_FUNCTIONS]:
            yield "", f"{function.seconds:8.2f} s       {function.name}, {plural(function.calls, 'call')}"


def _functions(file: Path) -> Iterator[ProfiledFunction]:
    for (path, line, name), (_, calls, seconds, _, _) in pstats.Stats(str(file)).stats.items():  # type: ignore[attr-defined]
        package, place = _place(path)
        yield ProfiledFunction(package, f"{place}:{line} {name}" if line else name, calls, seconds)


def _place(path: str) -> tuple[str, str]:
    """The package of a file, and the file within the package; functions written in C have no file."""
    if path == "~":
        return "built in", ""
    for root in ROOTS:
        if Path(path).is_relative_to(root):
            package, *rest = Path(path).relative_to(root).parts
            return package, "/".join(rest)
    return "Python", Path(path).name
