"""Where a training spends its time in Python: the training thread under cProfile."""

from __future__ import annotations

import cProfile
import pstats
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAME = "profile.pstats"
MOST_FUNCTIONS = 5
"""Functions told of each package."""
MOST_PACKAGES = 5


ROOTS = (Path(sysconfig.get_path("purelib")), Path(__file__).parents[2])
"""Where packages lie: those that are installed, and this one."""


@dataclass(frozen=True)
class Hot:
    """A function, how often it was called, and the seconds spent in it and not in what it called."""

    package: str
    name: str
    calls: int
    seconds: float


@contextmanager
def profiled(file: Path) -> Iterator[None]:
    """Profile the block, in this thread, into a file that `pstats` and snakeviz open; also if the block raises."""
    profile = cProfile.Profile()
    try:
        with profile:
            yield
    finally:
        profile.dump_stats(file)


def profile_lines(file: Path) -> Iterator[tuple[str, str]]:
    """The packages that took the most time, and in each the functions that did."""
    functions = sorted(_functions(file), key=lambda hot: -hot.seconds)
    total = sum(hot.seconds for hot in functions)
    packages: dict[str, list[Hot]] = {}
    for hot in functions:
        packages.setdefault(hot.package, []).append(hot)
    ranked = sorted(packages.items(), key=lambda item: -sum(hot.seconds for hot in item[1]))
    yield "profile", f"{total:.2f} s in the training thread, by the code they were spent in: {file}"
    for package, hots in ranked[:MOST_PACKAGES]:
        seconds = sum(hot.seconds for hot in hots)
        yield "", f"{seconds:8.2f} s {seconds / max(total, 1e-9):4.0%}  {package}"
        for hot in hots[:MOST_FUNCTIONS]:
            yield "", f"{hot.seconds:8.2f} s       {hot.name}, {hot.calls:,} calls"


def _functions(file: Path) -> Iterator[Hot]:
    for (path, line, name), (_, calls, seconds, _, _) in pstats.Stats(str(file)).stats.items():  # type: ignore[attr-defined]
        package, place = _place(path)
        yield Hot(package, f"{place}:{line} {name}" if line else name, calls, seconds)


def _place(path: str) -> tuple[str, str]:
    """The package a file is of, and the file within it; functions written in C have none."""
    if path == "~":
        return "built in", ""
    for root in ROOTS:
        if Path(path).is_relative_to(root):
            package, *rest = Path(path).relative_to(root).parts
            return package, "/".join(rest)
    return "Python", Path(path).name
